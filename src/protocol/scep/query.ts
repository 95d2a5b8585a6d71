/**
 * The query string of a SCEP request (RFC 8894 §4.1): `operation=…&message=…`, read from the raw text.
 *
 * The message of a GET is base64, which a URL should escape. Observed: macOS escapes only `=`, leaving `+` and `/`;
 * some proxies turn `+` into a space. A form decoder would read `+` as a space; here `+` stays, and a space becomes `+`.
 */
import { type Bytes, fromBase64 } from '../../std/bytes.ts';

export const CAPABILITIES = [
  'AES',
  'DES3',
  'SHA-1',
  'SHA-256',
  'SHA-512',
  'POSTPKIOperation',
  'SCEPStandard',
  'Renewal',
] as const;

export interface ScepQuery {
  readonly operation: string | null;
  /** Still base64, unescaped. */
  readonly message: string | null;
}

/** From a whole URL. What cannot be unescaped stays as it is, and then is no base64. */
export function parseScepQuery(url: string): ScepQuery {
  const start = url.indexOf('?');
  const query = start === -1 ? '' : (url.slice(start + 1).split('#')[0] as string);
  const values = new Map<string, string>();
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    const name = equals === -1 ? pair : pair.slice(0, equals);
    if (equals !== -1 && !values.has(name)) values.set(name, unescaped(pair.slice(equals + 1)));
  }
  return { operation: values.get('operation') ?? null, message: values.get('message') ?? null };
}

function unescaped(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** The bytes of a GET's message, or `null` when it is no base64. */
export function decodeMessage(message: string): Bytes | null {
  const text = message.replace(/[\r\n]/g, '').replace(/ /g, '+');
  // Not by a pattern anchored at the end: engines may start over at every `=` of a long run, as Node 22 does.
  let end = text.length;
  while (end > 0 && text[end - 1] === '=') end--;
  const unpadded = text.slice(0, end);
  return fromBase64(unpadded.padEnd(Math.ceil(unpadded.length / 4) * 4, '='));
}
