/** The SCEP endpoint over fakes, and a client with keys: what the SCEP tests start from. */
import { Hono } from 'hono';
import type { AppEnv } from '../../src/http/app-env.ts';
import { scepApp } from '../../src/http/scep/routes.ts';
import type { LogFields } from '../../src/log.ts';
import type { Bytes } from '../../src/std/bytes.ts';
import { Unavailable } from '../../src/std/outcome.ts';
import { addMs, type EpochMs } from '../../src/std/time.ts';
import deviceKeyPem from '../vectors/scep/device.key.pem?raw';
import otherKeyPem from '../vectors/scep/other.key.pem?raw';
import p256KeyPem from '../vectors/scep/p256.key.pem?raw';
import signerKeyPem from '../vectors/scep/signer.key.pem?raw';
import smallKeyPem from '../vectors/scep/small.key.pem?raw';
import { NOW, subject, testIdentity } from './identity.ts';
import {
  buildCsr,
  buildRequest,
  type CsrOptions,
  clientKey,
  type RequestOptions,
  readReply,
  selfSigned,
} from './scep-client.ts';

export const keys = {
  device: clientKey(deviceKeyPem),
  signer: clientKey(signerKeyPem),
  other: clientKey(otherKeyPem),
  small: clientKey(smallKeyPem),
  p256: clientKey(p256KeyPem),
};

export const appleSigner = { key: keys.signer, certificate: selfSigned(keys.signer) };

export interface Logged {
  readonly name: string;
  readonly fields: LogFields;
}

export async function scepFixture() {
  const identity = await testIdentity();
  const events: Logged[] = [];
  const clock = { nowMs: NOW };
  const app = new Hono<AppEnv>();
  app.use(async (c, next) => {
    c.set('nowMs', clock.nowMs);
    c.set('requestId', 'test');
    c.set('log', { event: (name, fields) => void events.push({ name, fields }) });
    await next();
  });
  app.onError((error, c) => {
    if (!(error instanceof Unavailable)) throw error;
    return c.body(null, 503, { 'Retry-After': '10' });
  });
  app.route('/', scepApp({ scep: identity.scep }));
  const authority = identity.authority.certificate;

  const challenge = async (udid?: string) => (await identity.mint.mint(subject(udid), clock.nowMs)).challenge;
  const post = (body: Bytes, headers: Record<string, string> = {}, query = '') =>
    app.request(`http://mdm.example/scep?operation=PKIOperation${query}`, { method: 'POST', body, headers });
  const exchange = async (body: Bytes) => {
    const response = await post(body);
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { status: response.status, bytes, reply: await readReply(bytes, authority) };
  };
  const request = (csr: Partial<CsrOptions>, options: Partial<RequestOptions> = {}) =>
    buildRequest({
      authority,
      signer: appleSigner,
      csr: buildCsr({ key: keys.device, ...csr }),
      ...options,
    });
  const advance = (ms: number): EpochMs => {
    clock.nowMs = addMs(clock.nowMs, ms);
    return clock.nowMs;
  };
  return { ...identity, app, events, clock, ca: authority, challenge, post, exchange, request, advance };
}
