/** The admin API in the whole Worker: over D1 and the objects, the answers are those that the fakes give. */
import { env, exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeCursor } from '../../../src/http/admin/cursor.ts';
import { readUtf8 } from '../../../src/std/bytes.ts';
import { STRANGER } from './fake-services.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever document came
type Json = any;

async function call(method: string, path: string, json?: Json): Promise<{ status: number; body: Json }> {
  const headers = { Authorization: `Bearer ${env.ADMIN_KEY}`, 'Content-Type': 'application/json' };
  const init = json === undefined ? { method, headers } : { method, headers, body: JSON.stringify(json) };
  const response = await exports.default.fetch(new Request(`${env.PUBLIC_URL}/api/v1${path}`, init));
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

async function pages(path: string): Promise<Json[]> {
  const items: Json[] = [];
  let cursor: string | null = null;
  do {
    const { body }: { body: Json } = await call(
      'GET',
      `${path}${cursor === null ? '' : `&cursor=${cursor}`}`,
    );
    items.push(...body.items);
    cursor = body.cursor;
  } while (cursor !== null);
  return items;
}

const kind = ({ status, body }: { status: number; body: Json }) => [
  status,
  body?.type?.replace('urn:escapement:problem:', ''),
];

describe('the whole Worker', () => {
  beforeAll(async () => {
    const insert = env.DB.prepare(
      `INSERT INTO devices (udid, serial, platform, state, last_seen_ms, revision) VALUES (?, ?, ?, 'enrolled', 0, 1)`,
    );
    const platforms = ['iOS', 'watchOS', 'iOS', 'watchOS', 'iOS'];
    await env.DB.batch(platforms.map((platform, at) => insert.bind(`LISTED-${at}`, `LISTED${at}`, platform)));
  });

  it('asks for the key of the configuration', async () => {
    const wrong = new Request(`${env.PUBLIC_URL}/api/v1/devices`, { headers: { Authorization: 'Bearer x' } });
    expect((await exports.default.fetch(wrong)).status).toBe(401);
    expect((await call('GET', '/devices')).status).toBe(200);
    expect(kind(await call('GET', '/nothing'))).toEqual([404, 'no-such-resource']);
    expect(kind(await call('PATCH', '/devices'))).toEqual([405, 'method-not-allowed']);
  });

  it('pages through devices, each once, also under a filter', async () => {
    const udids = (await pages('/devices?limit=2')).map(({ udid }) => udid);
    expect(udids).toEqual(['LISTED-0', 'LISTED-1', 'LISTED-2', 'LISTED-3', 'LISTED-4']);
    const watches = await pages('/devices?platform=watchOS&limit=1');
    expect(watches.map(({ udid }) => udid)).toEqual(['LISTED-1', 'LISTED-3']);
    expect((await pages('/devices?serial=LISTED4')).map(({ udid }) => udid)).toEqual(['LISTED-4']);
  });

  it('takes five hundred serial numbers at once and pages through them', async () => {
    const serials = Array.from({ length: 500 }, (_, index) => `BULK${String(index).padStart(4, '0')}`);
    const added = await call('POST', '/expected-devices', { serials, platform: 'iOS' });
    expect(added.body).toEqual({ added: 500, renewed: 0 });
    const again = await call('POST', '/expected-devices', {
      serials: [...serials.slice(1), 'BULKMORE'],
      platform: 'iOS',
    });
    expect(again.body).toEqual({ added: 1, renewed: 499 });
    expect((await pages('/expected-devices?limit=200')).map(({ serial }) => serial)).toEqual([
      ...serials,
      'BULKMORE',
    ]);
    expect((await call('DELETE', '/expected-devices/BULK0000')).status).toBe(204);
    expect(kind(await call('DELETE', '/expected-devices/BULK0000'))).toEqual([404, 'serial-not-listed']);
  });

  it.each([
    ['devices   ', '/devices?'],
    ['pairings ', '/pairings?'],
    ['expected-devices', '/expected-devices?'],
  ])('refuses a cursor of %j that no service could have made', async (scope, path) => {
    for (const inner of ['', 'x', "' OR 1=1 --", '1.', '9'.repeat(400)]) {
      const answer = await call('GET', `${path}cursor=${encodeCursor(scope, inner)}`);
      expect([inner, ...kind(answer)]).toEqual([inner, 400, 'malformed-cursor']);
    }
  });

  it.each([
    ['GET', `/devices/${STRANGER}`],
    ['GET', `/devices/${STRANGER}/commands`],
    ['POST', `/devices/${STRANGER}/commands`, { command: { RequestType: 'DeviceLock' } }],
    ['POST', `/devices/${STRANGER}/commands`, { command: { RequestType: 'EraseDevice' } }],
    ['DELETE', `/devices/${STRANGER}/commands/C-1`],
    ['GET', `/watch-enrollment/devices/${STRANGER}`],
    ['PUT', `/watch-enrollment/devices/${STRANGER}`, { anchors: [] }],
    ['DELETE', `/watch-enrollment/devices/${STRANGER}`],
  ])('knows no stranger: %s %s', async (method, path, json?: Json) => {
    expect(kind(await call(method, path, json))).toEqual([404, 'unknown-device']);
  });

  it('has no command and no pairing that nobody made', async () => {
    expect(kind(await call('GET', `/devices/${STRANGER}/commands/C-1`))).toEqual([404, 'unknown-command']);
    expect(kind(await call('GET', '/pairings/P-1'))).toEqual([404, 'unknown-pairing']);
    expect((await call('GET', `/pairings?watch=${STRANGER}`)).body).toEqual({ items: [], cursor: null });
  });

  it('makes links that yield a profile once', async () => {
    const link = { udid: 'LINKED-PHONE-1', serial: 'LINKEDPHONE1', signed: false, ttlSeconds: 60 };
    const { status, body } = await call('POST', '/enrollment-links', link);
    expect([status, body.url]).toEqual([201, `${env.PUBLIC_URL}/enroll/link/${body.code}`]);
    expect(Date.parse(body.expiresAt) - Date.now()).toBeLessThanOrEqual(60_000);
    const take = async () => {
      const answer = await exports.default.fetch(new Request(body.url));
      const profile = readUtf8(new Uint8Array(await answer.arrayBuffer())) ?? '';
      return [answer.status, profile.includes('com.apple.mdm')];
    };
    expect(await take()).toEqual([200, true]);
    expect(await take()).toEqual([410, false]);
  });
});
