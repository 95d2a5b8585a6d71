/**
 * SCEP over HTTP (RFC 8894 §4). Open to anyone: a request proves its own right. A message that cannot be read as far as
 * its transactionID is 400; every other refusal is a signed reply with status 200; a failing dependency is 503.
 * No content type is asked for: Observed: some clients send PKIOperation without one, or with the message in the URL too.
 */
import { type Context, Hono } from 'hono';
import type { ScepExchange, ScepService } from '../../domain/identity/scep-service.ts';
import { CAPABILITIES, decodeMessage, parseScepQuery } from '../../protocol/scep/query.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody } from '../body.ts';
import { scepFailure } from './refusals.ts';

export interface ScepServices {
  readonly scep: ScepService;
}

/** A PKCSReq with RSA-4096 everywhere has 6 KB; 64 KiB is the limit of everything a stranger may send. */
export const SCEP_BYTES_MAX = 64 * 1024;

export function scepApp(services: ScepServices): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get('/scep', async (c) => {
    const { operation, message } = parseScepQuery(c.req.url);
    if (operation === 'GetCACaps') return plain(c, `${CAPABILITIES.join('\n')}\n`);
    if (operation === 'GetCACert') return binary(c, 'application/x-x509-ca-cert', services.scep.authorityDer);
    if (operation !== 'PKIOperation') return c.text('unknown operation\n', 400);
    return pkiOperation(c, services.scep, message === null ? null : decodeMessage(message));
  });
  app.post('/scep', async (c) => {
    const { operation, message } = parseScepQuery(c.req.url);
    if (operation !== 'PKIOperation') return c.text('unknown operation\n', 400);
    const body = await readBody(c.req.raw, SCEP_BYTES_MAX);
    if (!body.ok) return c.text(`${body.refusal.kind}\n`, body.refusal.kind === 'body-too-large' ? 413 : 400);
    const inUrl = body.value.length === 0 && message !== null;
    return pkiOperation(c, services.scep, inUrl ? decodeMessage(message) : body.value);
  });
  app.all('/scep', () => new Response(null, { status: 405, headers: { Allow: 'GET, HEAD, POST' } }));
  return app;
}

async function pkiOperation(c: Context<AppEnv>, scep: ScepService, bytes: Bytes | null): Promise<Response> {
  if (bytes === null || bytes.length > SCEP_BYTES_MAX) return c.text('malformed message\n', 400);
  const exchange = await scep.handle(bytes, c.get('nowMs'));
  if (!exchange.ok) {
    c.get('log').event('scep-refused', { refusal: exchange.refusal.kind, reason: exchange.refusal.reason });
    return c.text('malformed message\n', 400);
  }
  log(c, exchange.value);
  const { message, outcome } = exchange.value;
  const reply = outcome.ok
    ? await scep.deliver(message, outcome.value)
    : await scep.decline(message, scepFailure(outcome.refusal));
  return binary(c, 'application/x-pki-message', reply);
}

function log(c: Context<AppEnv>, { message, outcome }: ScepExchange): void {
  const messageType = message.messageType ?? 'none';
  if (outcome.ok) {
    const { subject, credentialId, renewalOf } = outcome.value;
    const step = renewalOf === null ? 'enrollment' : 'renewal';
    c.get('log').event('scep-issued', { messageType, step, udid: subject.udid, credentialId });
    return;
  }
  const { kind, ...facts } = outcome.refusal;
  c.get('log').event('scep-refused', {
    messageType,
    refusal: kind,
    reason: JSON.stringify(facts).slice(0, 200),
  });
}

function plain(c: Context<AppEnv>, text: string): Response {
  return c.body(text, 200, { 'Content-Type': 'text/plain' });
}

function binary(c: Context<AppEnv>, contentType: string, bytes: Bytes): Response {
  return c.body(bytes, 200, { 'Content-Type': contentType });
}
