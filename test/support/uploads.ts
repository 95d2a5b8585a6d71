/** Uploads as an administrator sends them, and a profile to send. */
import { env, exports } from 'cloudflare:workers';
import { randomUuid } from '../../src/pki/random.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever document came
export type Document = any;

export interface Answer {
  readonly status: number;
  /** Of the refusal; empty when there is none. */
  readonly kind: string;
  readonly etag: string;
  readonly body: Document;
  readonly text: string;
}

export const CREATE = { 'If-None-Match': '*' };
export const REPLACE = { 'If-Match': '*' };

/** JSON is written out; text and bytes go as they are. */
export async function call(
  method: string,
  path: string,
  body?: Document,
  more: Record<string, string> = {},
): Promise<Answer> {
  const headers = { Authorization: `Bearer ${env.ADMIN_KEY}`, 'Content-Type': 'application/json', ...more };
  const plain = typeof body === 'string' || body instanceof Uint8Array;
  const init =
    body === undefined ? { method, headers } : { method, headers, body: plain ? body : JSON.stringify(body) };
  const response = await exports.default.fetch(new Request(`${env.PUBLIC_URL}/api/v1${path}`, init));
  const text = new TextDecoder().decode(await response.arrayBuffer());
  const isJson = /json/.test(response.headers.get('Content-Type') ?? '');
  const document = isJson && text !== '' ? JSON.parse(text) : null;
  const kind = response.ok ? '' : String(document?.type).replace('urn:escapement:problem:', '');
  return {
    status: response.status,
    kind,
    etag: response.headers.get('ETag') ?? '',
    body: document,
    text,
  };
}

export const fresh = (name: string) => `com.example.${name}.${randomUuid().slice(0, 8)}`;
export const asset = (identifier: string) => `/assets/${encodeURIComponent(identifier)}`;
export const profile = (identifier: string) => `/profiles/${encodeURIComponent(identifier)}`;
export const declaration = (identifier: string) => `/declarations/${encodeURIComponent(identifier)}`;

export function putProfile(
  identifier: string,
  body: string | Uint8Array,
  more: Record<string, string> = CREATE,
  query = '',
): Promise<Answer> {
  const headers = { 'Content-Type': 'application/x-apple-aspen-config', ...more };
  return call('PUT', `${profile(identifier)}${query}`, body, headers);
}

const HEAD = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">`;

/** A dictionary as XML, each value as it is to stand there. */
export function dict(members: Readonly<Record<string, string>>): string {
  return `<dict>${Object.entries(members)
    .map(([key, value]) => `<key>${key}</key>${value}`)
    .join('')}</dict>`;
}

export const text = (value: string) => `<string>${value}</string>`;

export function payload(type: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    PayloadType: text(type),
    PayloadIdentifier: text('com.example.wifi.1'),
    PayloadUUID: text('5D9D0F6A-2C2B-4D6E-8C1A-000000000001'),
    PayloadVersion: '<integer>1</integer>',
    ...more,
  };
}

export const WIFI = payload('com.apple.wifi.managed', {
  SSID_STR: text('Example'),
  EncryptionType: text('WPA2'),
  Password: text('the-wifi-password'),
});

export function mobileConfig(
  payloads: readonly Readonly<Record<string, string>>[] = [WIFI],
  more: Readonly<Record<string, string>> = {},
): string {
  const top = {
    ...payload('Configuration', {
      PayloadIdentifier: text('com.example.profile'),
      PayloadUUID: text('5D9D0F6A-2C2B-4D6E-8C1A-000000000000'),
      PayloadDisplayName: text('Wi-Fi'),
    }),
    PayloadContent: `<array>${payloads.map(dict).join('')}</array>`,
    ...more,
  };
  return `${HEAD}${dict(Object.fromEntries(Object.entries(top).filter(([, value]) => value !== '')))}</plist>\n`;
}
