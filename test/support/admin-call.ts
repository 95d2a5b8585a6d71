/** One call of the admin API to the whole Worker, and what came of it. */
import { env, exports } from 'cloudflare:workers';

export { database, enrolledDevice, newDevice } from './device.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever document came
type Json = any;

export interface Answer {
  readonly status: number;
  /** Of a problem document, without its prefix; empty otherwise. */
  readonly kind: string;
  readonly type: string;
  readonly etag: string;
  readonly body: Json;
}

export async function call(
  method: string,
  path: string,
  json?: unknown,
  more: Record<string, string> = {},
): Promise<Answer> {
  const headers = { Authorization: `Bearer ${env.ADMIN_KEY}`, 'Content-Type': 'application/json', ...more };
  const init = json === undefined ? { method, headers } : { method, headers, body: JSON.stringify(json) };
  const response = await exports.default.fetch(new Request(`${env.PUBLIC_URL}/api/v1${path}`, init));
  const text = await response.text();
  const body = text === '' ? null : JSON.parse(text);
  const kind = response.ok ? '' : String(body?.type).replace('urn:escapement:problem:', '');
  const type = response.headers.get('Content-Type') ?? '';
  const etag = response.headers.get('ETag') ?? '';
  return { status: response.status, kind, type, etag, body };
}
