/** Apps and their packages through the admin API and the installer's URLs: the whole Worker, real D1 and R2. */

import { createExecutionContext, createMessageBatch, createScheduledController } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { PACKAGE_PART_BYTES } from '../../../src/domain/admin/app-services.ts';
import type { PackageUrls } from '../../../src/domain/app/package-urls.ts';
import { parseRange } from '../../../src/http/packages/routes.ts';
import worker from '../../../src/index.ts';
import { addMs, epochMs } from '../../../src/std/time.ts';
import type { FanoutMessage } from '../../../src/storage/queue/due.ts';
import { servicesFor } from '../../../src/wiring.ts';
import { call, enrolledDevice } from '../../support/admin-call.ts';

const STORE = { kind: 'app-store', iTunesStoreID: 42 };
const STANDALONE = { name: 'An app', kind: 'standalone', source: STORE };
const NEW = { 'If-None-Match': '*' };

let made = 0;
const freshId = () => `com.example.http${++made}.watchkitapp`;

async function putNew(body: object = STANDALONE): Promise<string> {
  const id = freshId();
  const put = await call('PUT', `/apps/${id}`, body, NEW);
  expect(put.status, JSON.stringify(put.body)).toBe(201);
  return id;
}

/** Begins as a ZIP archive does, and differs in every part. */
function ipa(bytes: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(bytes).map((_, i) => (i * 31 + (i >> 16)) & 0xff);
  all.set([0x50, 0x4b, 0x03, 0x04]);
  return all;
}

async function upload(id: string, body: BodyInit | null, query = '?bundleVersion=1.2') {
  const response = await exports.default.fetch(
    new Request(`${env.PUBLIC_URL}/api/v1/apps/${id}/package${query}`, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${env.ADMIN_KEY}` },
      body,
    }),
  );
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever document came
  const json = (await response.json()) as any;
  return {
    status: response.status,
    kind: String(json.type ?? '').replace('urn:escapement:problem:', ''),
    body: json,
  };
}

const fetchIt = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
  exports.default.fetch(new Request(url, { method, headers }));

describe('an app', () => {
  it('is put, read, listed, replaced and deleted under its entity tag', async () => {
    const id = await putNew();
    const read = await call('GET', `/apps/${id}`);
    expect(read.body).toMatchObject({
      ...{ watchBundleId: id, name: 'An app', kind: 'standalone', source: STORE, install: {}, phone: null },
      ...{ configured: [], package: null },
      deployments: { running: 0, done: 0, failed: 0, canceled: 0, superseded: 0 },
    });
    expect(read.etag).toBe(`"${read.body.version}"`);
    const paired = { ...STANDALONE, kind: 'paired', phone: { bundleId: 'com.example.phone' } };
    const replaced = await call('PUT', `/apps/${id}`, paired, { 'If-Match': read.etag });
    expect([replaced.status, replaced.body.kind, replaced.body.phone]).toEqual([
      200,
      'paired',
      { bundleId: 'com.example.phone', source: null, install: null },
    ]);
    const stale = await call('PUT', `/apps/${id}`, paired, { 'If-Match': read.etag });
    expect([stale.status, stale.kind]).toEqual([412, 'precondition-failed']);
    expect((await call('PUT', `/apps/${id}`, paired, NEW)).status).toBe(412);
    expect((await call('PUT', `/apps/${id}`, paired)).status).toBe(428);
    const listed = await call('GET', '/apps?limit=500');
    expect(listed.body.items.map((one: { watchBundleId: string }) => one.watchBundleId)).toContain(id);
    expect((await call('DELETE', `/apps/${id}`, undefined, { 'If-Match': read.etag })).status).toBe(412);
    expect((await call('DELETE', `/apps/${id}`)).status).toBe(204);
    expect((await call('GET', `/apps/${id}`)).kind).toBe('unknown-app');
  });

  it.each([
    ['a paired one without its iPhone app', { ...STANDALONE, kind: 'paired' }, 422, 'app-kind-mismatch'],
    ['a standalone one with one', { ...STANDALONE, phone: { bundleId: 'a.b' } }, 422, 'app-kind-mismatch'],
    ['an unknown kind', { ...STANDALONE, kind: 'companion' }, 400, 'invalid'],
    ['no source', { name: 'x', kind: 'standalone' }, 400, 'invalid'],
    [
      'a manifest without TLS',
      { ...STANDALONE, source: { kind: 'manifest', ManifestURL: 'http://a/b' } },
      400,
      'invalid',
    ],
    [
      'flags that the catalog has not',
      { ...STANDALONE, install: { ManagementFlags: 3 } },
      422,
      'invalid-install',
    ],
    ['a key of macOS', { ...STANDALONE, install: { InstallAsManaged: true } }, 422, 'invalid-install'],
    [
      'what iOS has and watchOS has not',
      { ...STANDALONE, install: { Attributes: { Lockable: false } } },
      422,
      'invalid-install',
    ],
    [
      'a source among the options',
      { ...STANDALONE, install: { ManifestURL: 'https://a/b' } },
      422,
      'invalid-install',
    ],
    [
      'too much of it',
      { ...STANDALONE, install: { Configuration: { a: 'x'.repeat(140_000) } } },
      413,
      'app-options-too-large',
    ],
    [
      'what no property list holds',
      { ...STANDALONE, install: { Configuration: { a: null } } },
      400,
      'invalid',
    ],
  ])('is refused with %s', async (_what, body, status, kind) => {
    const put = await call('PUT', `/apps/${freshId()}`, body, NEW);
    expect([put.status, put.kind], JSON.stringify(put.body)).toEqual([status, kind]);
  });

  it('names the side and the place of what the catalog has against it', async () => {
    const phone = { bundleId: 'com.example.phone', install: { Options: { PurchaseMethod: 7 } } };
    const put = await call('PUT', `/apps/${freshId()}`, { ...STANDALONE, kind: 'dependent', phone }, NEW);
    expect(put.body).toMatchObject({ side: 'phone', problems: [{ path: 'Options.PurchaseMethod' }] });
    const lacking = { ...phone, install: { Attributes: { Lockable: false } } };
    expect(
      (await call('PUT', `/apps/${freshId()}`, { ...STANDALONE, kind: 'dependent', phone: lacking }, NEW))
        .status,
    ).toBe(201);
  });

  it('keeps its configuration sealed, and shows it only to whoever asks for it', async () => {
    const secret = 'token-of-the-app-0123456789';
    const logged = vi.spyOn(console, 'log');
    const phone = { bundleId: 'com.example.phone', install: { Configuration: { url: 'https://a' } } };
    const install = { ManagementFlags: 1, Configuration: { token: secret } };
    const id = await putNew({ ...STANDALONE, kind: 'paired', install, phone });
    const read = await call('GET', `/apps/${id}`);
    expect(read.body).toMatchObject({ install: { ManagementFlags: 1 }, configured: ['watch', 'phone'] });
    expect(JSON.stringify(read.body)).not.toContain(secret);
    expect((await call('GET', `/apps/${id}/configuration`)).body).toEqual({
      watch: { token: secret },
      phone: { url: 'https://a' },
    });
    const row = await env.DB.prepare('SELECT * FROM apps WHERE watch_bundle_id = ?').bind(id).first();
    const stored = String.fromCharCode(...((row?.['configuration'] ?? []) as number[]));
    expect(JSON.stringify(row) + stored).not.toContain(secret);
    expect(JSON.stringify(logged.mock.calls)).not.toContain(secret);
    logged.mockRestore();
    expect((await call('GET', `/apps/${freshId()}/configuration`)).kind).toBe('unknown-app');
  });
});

describe('a package', () => {
  const source = { kind: 'package' };

  it('of several parts is described by its manifest, part by part, and served as it came', async () => {
    const id = await putNew({ ...STANDALONE, name: 'Café & Co', source });
    const sent = ipa(PACKAGE_PART_BYTES + 12_345);
    const stored = await upload(id, sent);
    expect(stored.body.package).toMatchObject({
      bytes: sent.length,
      bundleVersion: '1.2',
      sha256: createHash('sha256').update(sent).digest('hex'),
    });
    const manifest = await fetchIt(await manifestUrl(id));
    expect([manifest.status, manifest.headers.get('Content-Type')]).toEqual([200, 'application/xml']);
    const text = await manifest.text();
    const md5 = (part: Uint8Array) => createHash('md5').update(part).digest('hex');
    const parts = [sent.subarray(0, PACKAGE_PART_BYTES), sent.subarray(PACKAGE_PART_BYTES)].map(md5);
    expect(text).toContain(`<key>md5-size</key><integer>${PACKAGE_PART_BYTES}</integer>`);
    expect(text).toContain(
      `<key>md5s</key><array><string>${parts.join('</string><string>')}</string></array>`,
    );
    expect(text).toContain(`<key>bundle-identifier</key><string>${id}</string>`);
    expect(text).toContain(
      '<key>bundle-version</key><string>1.2</string><key>kind</key><string>software</string>',
    );
    expect(text).toContain('<key>title</key><string>Café &amp; Co</string>');
    const whole = await fetchIt(packageUrl(text));
    expect(whole.headers.get('Content-Length')).toBe(String(sent.length));
    expect(Buffer.from(await whole.arrayBuffer()).equals(Buffer.from(sent))).toBe(true);
  });

  it('is served in ranges, so that a download which broke off goes on', async () => {
    const id = await putNew({ ...STANDALONE, source });
    const sent = ipa(1000);
    await upload(id, sent);
    const url = packageUrl(await (await fetchIt(await manifestUrl(id))).text());
    const part = await fetchIt(url, { Range: 'bytes=400-499' });
    expect([part.status, part.headers.get('Content-Range'), part.headers.get('Content-Length')]).toEqual([
      206,
      'bytes 400-499/1000',
      '100',
    ]);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(sent.subarray(400, 500));
    const tag = part.headers.get('ETag') ?? '';
    const rest = await fetchIt(url, { Range: 'bytes=500-', 'If-Range': tag });
    expect([rest.status, new Uint8Array(await rest.arrayBuffer())]).toEqual([206, sent.subarray(500)]);
    const other = await fetchIt(url, { Range: 'bytes=500-', 'If-Range': '"another"' });
    expect([other.status, (await other.arrayBuffer()).byteLength]).toEqual([200, 1000]);
    const past = await fetchIt(url, { Range: 'bytes=1000-' });
    expect([past.status, past.headers.get('Content-Range')]).toEqual([416, 'bytes */1000']);
    const head = await fetchIt(url, {}, 'HEAD');
    expect([head.status, head.headers.get('Content-Length'), head.headers.get('Accept-Ranges')]).toEqual([
      200,
      '1000',
      'bytes',
    ]);
    const ranged = await fetchIt(url, { Range: 'bytes=0-9' }, 'HEAD');
    expect([ranged.status, ranged.headers.get('Content-Length')]).toEqual([200, '1000']);
    expect(part.headers.get('Cache-Control')).toBe('no-store');
    expect((await fetchIt(url, {}, 'PUT')).status).toBe(405);
  });

  it('is fetched by nobody without a URL that this server made, nor after its time', async () => {
    const id = await putNew({ ...STANDALONE, source });
    await upload(id, ipa(100));
    const good = await manifestUrl(id);
    const token = good.split('/')[4] ?? '';
    const flipped = `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`;
    for (const url of [
      good.replace(token, flipped),
      good.replace(token, 'AAAA'),
      good.replace(token, '%00'),
      // A manifest's token is no package's.
      good.replace('manifest.plist', 'package.ipa'),
      await manifestUrl(id, -1000),
    ])
      expect((await fetchIt(url)).status, url).toBe(404);
  });

  it('replaces the one before, which its own URLs still name', async () => {
    const id = await putNew({ ...STANDALONE, source });
    await upload(id, ipa(321));
    const old = packageUrl(await (await fetchIt(await manifestUrl(id))).text());
    const before = (await call('GET', `/apps/${id}`)).etag;
    const second = await upload(id, ipa(200), '?bundleVersion=2');
    expect(second.body.package).toMatchObject({ bytes: 200, bundleVersion: '2' });
    expect((await call('GET', `/apps/${id}`)).etag).not.toBe(before);
    expect((await fetchIt(old)).headers.get('Content-Length')).toBe('321');
    const { packages } = (await servicesFor(env)).background;
    const month = addMs(epochMs(Date.now()), 30 * 86_400_000);
    // What was replaced a moment ago may be on its way to a device.
    await packages.sweep(addMs(epochMs(Date.now()), 86_400_000));
    expect((await fetchIt(old)).status).toBe(200);
    expect(await packages.sweep(month)).toBeGreaterThan(0);
    expect((await fetchIt(old)).status).toBe(404);
    expect((await fetchIt(await manifestUrl(id))).status).toBe(200);
    expect((await env.PACKAGES.list()).objects.some(({ size }) => size === 321)).toBe(false);
  });

  it.each([
    ['nothing', null, '?bundleVersion=1', 422, 'not-a-package'],
    ['something else', 'GIF89a', '?bundleVersion=1', 422, 'not-a-package'],
    ['no version', 'PK\u0003\u0004', '', 400, 'invalid'],
  ])('is refused when it is %s', async (_what, body, query, status, kind) => {
    const id = await putNew({ ...STANDALONE, source });
    const answer = await upload(id, body, query);
    expect([answer.status, answer.kind]).toEqual([status, kind]);
    expect((await call('GET', `/apps/${id}`)).body.package).toBeNull();
  });

  it('is refused when it is too large, by what it says and by what comes', async () => {
    const id = await putNew({ ...STANDALONE, source });
    const { bodyParts } = await import('../../../src/http/body.ts');
    const limits = { partBytes: 10, bodyBytesMax: 25 };
    const refusals = async (request: Request) => {
      const seen: unknown[] = [];
      for await (const part of bodyParts(request, limits))
        seen.push(part.ok ? part.value.length : part.refusal.kind);
      return seen;
    };
    const request = (body: BodyInit) => new Request('https://x', { method: 'PUT', body });
    const stream = (bytes: number) =>
      new ReadableStream({
        start(controller) {
          for (let i = 0; i < bytes; i += 7) controller.enqueue(new Uint8Array(Math.min(7, bytes - i)));
          controller.close();
        },
      });
    expect(await refusals(request(stream(25)))).toEqual([10, 10, 5]);
    expect(await refusals(request(stream(26)))).toEqual([10, 10, 'body-too-large']);
    const declared = new Request('https://x', {
      method: 'PUT',
      headers: { 'Content-Length': '26' },
      body: 'x',
    });
    expect(await refusals(declared)).toEqual(['body-too-large']);
    expect((await call('GET', `/apps/${id}`)).body.package).toBeNull();
  });

  it('cannot be kept by a server without a bucket, which says so, and everything else works', async () => {
    const id = await putNew({ ...STANDALONE, source });
    await upload(id, ipa(100));
    const manifest = await manifestUrl(id);
    const url = packageUrl(await (await fetchIt(manifest)).text());
    const without = { ...env, PACKAGES: undefined } as unknown as Env;
    const ask = (method: string, path: string, body: BodyInit | null = null) => {
      const headers = { Authorization: `Bearer ${env.ADMIN_KEY}` };
      const request = new Request(path, { method, headers, body });
      return worker.fetch(request, without, createExecutionContext());
    };
    const api = `${env.PUBLIC_URL}/api/v1/apps/${id}`;
    const refused = await ask('PUT', `${api}/package?bundleVersion=2`, ipa(100));
    expect([refused.status, ((await refused.json()) as { type: string }).type]).toEqual([
      501,
      'urn:escapement:problem:packages-not-configured',
    ]);
    for (const [method, path] of [
      ...[['GET', manifest] as const, ['HEAD', manifest] as const],
      ...[['GET', url] as const, ['HEAD', url] as const],
    ])
      expect((await ask(method, path)).status, `${method} ${path}`).toBe(404);
    await worker.scheduled(createScheduledController(), without);
    await worker.queue(deploymentsMessage(), without);
    expect((await ask('GET', api)).status).toBe(200);
    expect((await ask('DELETE', api)).status).toBe(204);
  });
});

describe('a range', () => {
  it.each([
    ['bytes=0-9', { first: 0, last: 9 }],
    ['bytes=90-200', { first: 90, last: 99 }],
    ['bytes=50-', { first: 50, last: 99 }],
    ['bytes=-10', { first: 90, last: 99 }],
    ['bytes=-1000', { first: 0, last: 99 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=9-3', null],
    ['bytes=0-1,5-6', null],
    ['bytes=-', null],
    ['items=0-1', null],
    [undefined, null],
  ])('%s of 100 octets is %j', (header, expected) => {
    expect(parseRange(header, 100)).toEqual(expected);
  });
});

describe('a deployment', () => {
  it('to many watches is begun for ten with the answer, and for the rest by the queue', async () => {
    const id = await putNew();
    const watches = await Promise.all(Array.from({ length: 12 }, () => enrolledDevice()));
    const devices = watches.map(({ udid }) => udid);
    const order = { action: 'install', devices };
    const key = { 'Idempotency-Key': 'floor-2-on-monday' };
    const many = await call('POST', `/apps/${id}/deployments`, order, key);
    expect([many.status, many.body.begun, many.body.refused]).toEqual([202, 12, 0]);
    const phases = async () => {
      const { body } = await call('GET', `/apps/${id}/deployments`);
      return Map.groupBy(body.items as { phase: string }[], ({ phase }) => phase);
    };
    expect((await phases()).get('waiting')).toHaveLength(2);
    await worker.queue(deploymentsMessage(), env);
    expect((await phases()).get('ordered')).toHaveLength(12);
    // Said again, the request finds what it made.
    const again = await call('POST', `/apps/${id}/deployments`, order, key);
    expect(again.body.items).toEqual(many.body.items);
    expect((await call('GET', `/apps/${id}`)).body.deployments).toMatchObject({ running: 12, superseded: 0 });
  });

  it('is one of thirty that a message carries on, within the statements that D1 allows an invocation', async () => {
    const id = await putNew();
    const watches = await Promise.all(Array.from({ length: 43 }, () => enrolledDevice()));
    const devices = watches.map(({ udid }) => udid);
    await call('POST', `/apps/${id}/deployments`, { action: 'install', devices });
    const asked = vi.spyOn(env.FANOUT, 'send');
    const prepared = vi.spyOn(env.DB, 'prepare');
    await worker.queue(deploymentsMessage(), env);
    expect(prepared.mock.calls.length).toBeGreaterThan(30 * 5);
    expect(prepared.mock.calls.length).toBeLessThan(1000);
    expect(asked).toHaveBeenCalledWith({ kind: 'deployments' });
    for (const spy of [asked, prepared]) spy.mockRestore();
    const { body } = await call('GET', `/apps/${id}/deployments?limit=50`);
    const waiting = (body.items as { phase: string }[]).filter(({ phase }) => phase === 'waiting');
    expect(waiting).toHaveLength(3);
  });

  it('is refused for what is no app, no device, or no such deployment', async () => {
    const id = await putNew();
    const order = (app: string) => ({ app, action: 'install' });
    expect((await call('POST', '/devices/NOBODY-0001/apps', order(id))).kind).toBe('unknown-device');
    expect((await call('POST', '/devices/NOBODY-0001/apps', order('a.b'))).kind).toBe('unknown-app');
    expect((await call('POST', '/devices/NOBODY-0001/apps', { app: id, action: 'keep' })).kind).toBe(
      'invalid',
    );
    expect((await call('GET', '/devices/NOBODY-0001/apps')).kind).toBe('unknown-device');
    for (const path of ['', '/cancel', '/retry']) {
      const method = path === '' ? 'GET' : 'POST';
      expect((await call(method, `/deployments/NONE${path}`, method === 'GET' ? undefined : {})).kind).toBe(
        'unknown-deployment',
      );
    }
    expect((await call('GET', '/apps/a.b/deployments')).kind).toBe('unknown-app');
    const nobody = await call('POST', `/apps/${id}/deployments`, { action: 'install', group: 'nobody' });
    expect(nobody.kind).toBe('unknown-group');
    const both = await call('POST', `/apps/${id}/deployments`, {
      action: 'install',
      group: 'g',
      devices: [],
    });
    expect(both.kind).toBe('invalid');
  });
});

function deploymentsMessage() {
  const body = { kind: 'deployments' } as const;
  return createMessageBatch<FanoutMessage>('escapement-fanout', [
    { id: 'a', timestamp: new Date(), attempts: 1, body },
  ]);
}

async function manifestUrl(id: string, lifeMs = 60_000): Promise<string> {
  const found = await (await servicesFor(env)).admin.apps.find(id);
  const packageId = found?.package?.packageId ?? '';
  const { background } = await servicesFor(env);
  const urls: PackageUrls = background.urls;
  return urls.make('manifest', { packageId, side: 'watch' }, addMs(epochMs(Date.now()), lifeMs));
}

function packageUrl(manifest: string): string {
  const url = /<key>url<\/key><string>([^<]+)/.exec(manifest)?.[1];
  if (url === undefined) throw new Error('a manifest without a package');
  return url;
}
