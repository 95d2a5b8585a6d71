/**
 * What an administrator uploads reaches an iPhone and a watch that hold it, and nobody else: through the front door,
 * by the device's signature or by the certificate that the edge verified. After each story the invariants of
 * everything stored, no uploaded secret in D1, objects or log among them.
 */
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { open } from '../simulator/cms.ts';
import type { SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import {
  admin,
  assignedPhone,
  enrolledPhone,
  logged,
  logSince,
  pairedWatch,
  secrets,
  send,
  url,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import {
  asset,
  CREATE,
  call,
  type Document,
  declaration,
  mobileConfig,
  putProfile,
  REPLACE,
} from '../support/uploads.ts';
import vectors from '../vectors/pkcs12/openssl.json';
import caPem from '../vectors/scep/ca.pem?raw';

type Device = SimulatedPhone | SimulatedWatch;

let phone: SimulatedPhone;
let watch: SimulatedWatch;
let stranger: SimulatedPhone;
beforeAll(async () => {
  phone = await assignedPhone();
  watch = await pairedWatch(phone);
  stranger = await enrolledPhone();
});
afterEach(checkInvariants);

let story = 0;
let prefix = '';
beforeEach(() => {
  story += 1;
  prefix = `com.example.assets.${story}`;
});

const id = (name: string) => `${prefix}.${name}`;
const TEST = 'com.apple.configuration.management.test';
const p12 = vectors.files[0]?.file ?? '';

async function done(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer;
  if (status >= 300) throw new Error(`${status} ${text}`);
}

async function declare(name: string, type: string, payload: Document): Promise<void> {
  const body = { type, payload, allowUnknown: true };
  const created = await call('PUT', declaration(id(name)), body, CREATE);
  if (created.kind === 'precondition-failed') await done(call('PUT', declaration(id(name)), body, REPLACE));
  else await done(Promise.resolve(created));
}

/** A set of these and an activation of its configurations, assigned to phone and watch, who sync. */
async function give(names: readonly string[], configurations: readonly string[]): Promise<void> {
  await declare('act', 'com.apple.activation.simple', { StandardConfigurations: configurations.map(id) });
  await admin('PUT', `sets/assets${story}`, { declarations: [...names, ...configurations, 'act'].map(id) });
  for (const device of [phone, watch]) {
    await admin('PUT', `sets/assets${story}/devices/${device.udid}`);
    await sync(device);
  }
}

async function sync(device: Device): Promise<void> {
  await settle();
  for (let i = 0; i < 5; i++) if ((await device.connect()).commands.length === 0) return;
  throw new Error('a session without end');
}

const validity = (device: Device) =>
  Object.fromEntries(
    device.declarations
      .filter(({ declaration: one }) => one.identifier.startsWith(prefix))
      .map(({ declaration: one, active, valid }) => [
        one.identifier.slice(prefix.length + 1),
        active && valid,
      ]),
  );

function fetchData(path: string, headers: Record<string, string>, cf?: Document): Promise<Response> {
  const init = { headers, ...(cf === undefined ? {} : { cf }) };
  return send(new Request(`${url}${path}`, init as RequestInit));
}

const signed = (device: Device) => ({ 'mdm-signature': device.mdmSignature(new Uint8Array()) });

/** What the edge says of a device that presented its certificate. */
function edge(device: Device, more: Document = {}): Document {
  const digest = createHash('sha256')
    .update(device.certificate?.der ?? '')
    .digest('hex');
  const facts = {
    certPresented: '1',
    certVerified: 'SUCCESS',
    certRevoked: '0',
    certFingerprintSHA256: digest,
  };
  return { tlsClientAuth: { ...facts, ...more } };
}

const UPLOADS: Record<string, Document> = {
  certificate: { type: 'com.apple.asset.credential.certificate', certificate: caPem },
  identity: { type: 'com.apple.asset.credential.identity', identity: p12, password: vectors.password },
  user: {
    type: 'com.apple.asset.credential.userpassword',
    userName: 'kim',
    password: 'a-password-of-assets',
  },
  scep: {
    type: 'com.apple.asset.credential.scep',
    document: { URL: 'https://scep.example.com', Challenge: 'a-challenge-of-assets' },
  },
  acme: {
    type: 'com.apple.asset.credential.acme',
    document: {
      DirectoryURL: 'https://acme.example.com/directory',
      ClientIdentifier: 'a-client-of-assets',
      KeySize: 256,
      KeyType: 'ECSECPrimeRandom',
      HardwareBound: true,
      Subject: [[['2.5.4.3', 'watch']]],
    },
  },
  data: {
    type: 'com.apple.asset.data',
    contentType: 'text/plain',
    data: Buffer.from('some-data-of-assets').toString('base64'),
  },
};
for (const secret of [
  'a-password-of-assets',
  'a-challenge-of-assets',
  'a-client-of-assets',
  vectors.password,
])
  secrets.add('uploaded secret', secret);
secrets.add('uploaded data', 'some-data-of-assets');
secrets.add('uploaded identity', Buffer.from(p12, 'base64'));

describe('uploaded assets', () => {
  it('of every type are downloaded by a phone and a watch, and found good', async () => {
    const names = Object.keys(UPLOADS);
    for (const name of names) await done(call('PUT', asset(id(name)), UPLOADS[name], CREATE));
    await declare('anchor', 'com.apple.configuration.security.certificate', {
      CredentialAssetReference: id('certificate'),
    });
    await declare('identity-of', 'com.apple.configuration.security.identity', {
      CredentialAssetReference: id('identity'),
    });
    await declare('echo', TEST, { Echo: 'x', EchoDataAssetReference: id('data') });
    // No configuration of the watch takes these: an unknown key of a known one is a reference all the same.
    await declare('others', TEST, {
      Echo: 'y',
      UserAssetReference: id('user'),
      OtherAssetReferences: [id('scep'), id('acme')],
    });
    await give(names, ['anchor', 'identity-of', 'echo', 'others']);
    for (const device of [phone, watch]) {
      const all = [...names, 'anchor', 'identity-of', 'echo', 'others', 'act'];
      expect(validity(device)).toEqual(Object.fromEntries(all.map((name) => [name, 'valid'])));
      expect(device.assetData(id('data'))?.toString()).toBe('some-data-of-assets');
      expect(JSON.parse(device.assetData(id('identity'))?.toString() ?? '')).toEqual({
        Password: vectors.password,
        Identity: p12,
      });
      expect(JSON.parse(device.assetData(id('user'))?.toString() ?? '')).toEqual({
        UserName: 'kim',
        Password: 'a-password-of-assets',
      });
      for (const name of ['scep', 'acme'])
        expect(JSON.parse(device.assetData(id(name))?.toString() ?? '')).toEqual(UPLOADS[name].document);
    }
  });

  it('whose data changes at the same size are downloaded again, and only then', async () => {
    const upload = (password: string) =>
      call('PUT', asset(id('user')), { ...UPLOADS['user'], password }, { 'If-Match': '*' });
    await done(call('PUT', asset(id('user')), { ...UPLOADS['user'], password: 'first-secret' }, CREATE));
    await declare('echo', TEST, { Echo: 'x', UserAssetReference: id('user') });
    await give(['user'], ['echo']);
    const seen = () => [phone, watch].map((device) => device.assetData(id('user'))?.toString());
    expect(seen()).toEqual(Array(2).fill(expect.stringContaining('first-secret')));
    const from = logged.length;
    await done(upload('first-secret'));
    for (const device of [phone, watch]) await sync(device);
    expect(logSince(from).filter((line) => line['event'] === 'wake')).toEqual([]);
    await done(upload('other-secret'));
    for (const device of [phone, watch]) await sync(device);
    expect(seen()).toEqual(Array(2).fill(expect.stringContaining('other-secret')));
  });

  it('go to no device that does not hold them, or not any more', async () => {
    await done(call('PUT', asset(id('data')), UPLOADS['data'], CREATE));
    await declare('echo', TEST, { Echo: 'x', EchoDataAssetReference: id('data') });
    await give(['data'], ['echo']);
    const path = `/ddm/assets/${id('data')}`;
    expect((await fetchData(path, signed(watch))).status).toBe(200);
    expect((await fetchData(path, signed(stranger))).status).toBe(404);
    expect((await fetchData(path, {})).status).toBe(403);
    // Neither under the other path: it is no configuration.
    expect((await fetchData(`/ddm/profiles/${id('data')}`, signed(watch))).status).toBe(404);
    await admin('DELETE', `sets/assets${story}/devices/${watch.udid}`);
    expect((await fetchData(path, signed(watch))).status).toBe(404);
    expect((await fetchData(path, signed(phone))).status).toBe(200);
  });

  it('answer GET and HEAD with the declared type and length', async () => {
    await done(call('PUT', asset(id('data')), UPLOADS['data'], CREATE));
    await declare('echo', TEST, { Echo: 'x', EchoDataAssetReference: id('data') });
    await give(['data'], ['echo']);
    for (const method of ['GET', 'HEAD']) {
      const request = new Request(`${url}/ddm/assets/${id('data')}`, { method, headers: signed(phone) });
      const reply = await send(request);
      const { status, headers } = reply;
      expect([status, headers.get('content-type'), headers.get('cache-control')]).toEqual([
        200,
        'text/plain',
        'no-store',
      ]);
      expect([method, headers.get('content-length')]).toEqual([method, '19']);
      expect((await reply.text()).length).toBe(method === 'GET' ? 19 : 0);
    }
  });

  it('that changed under a device’s manifest are not given out until it follows', async () => {
    await done(call('PUT', asset(id('data')), UPLOADS['data'], CREATE));
    await declare('echo', TEST, { Echo: 'x', EchoDataAssetReference: id('data') });
    await give(['data'], ['echo']);
    await env.DB.prepare('UPDATE declarations SET server_token = ? WHERE identifier = ?')
      .bind('f'.repeat(64), id('data'))
      .run();
    const reply = await fetchData(`/ddm/assets/${id('data')}`, signed(phone));
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, expect.any(String)]);
  });

  it('whose stored bytes were changed or moved to another identifier are not given out', async () => {
    await done(call('PUT', asset(id('data')), UPLOADS['data'], CREATE));
    await done(call('PUT', asset(id('moved')), UPLOADS['data'], CREATE));
    await declare('echo', TEST, { Echo: 'x', EchoDataAssetReference: id('data') });
    await give(['data'], ['echo']);
    const move =
      'UPDATE uploads SET sealed = (SELECT sealed FROM uploads WHERE identifier = ?) WHERE identifier = ?';
    await env.DB.prepare(move).bind(id('moved'), id('data')).run();
    const from = logged.length;
    expect((await fetchData(`/ddm/assets/${id('data')}`, signed(phone))).status).toBe(503);
    expect(logSince(from).find((line) => line['event'] === 'fault')?.['errorCode']).toBe('seal-broken');
    await done(call('PUT', asset(id('data')), UPLOADS['data'], REPLACE));
    await sync(phone);
    expect((await fetchData(`/ddm/assets/${id('data')}`, signed(phone))).status).toBe(200);
  });
});

describe('a certificate that the edge verified', () => {
  const held = async () => {
    await done(call('PUT', asset(id('data')), UPLOADS['data'], CREATE));
    await declare('echo', TEST, { Echo: 'x', EchoDataAssetReference: id('data') });
    await give(['data'], ['echo']);
    return `/ddm/assets/${id('data')}`;
  };

  it('opens what its device holds, and nothing else', async () => {
    const path = await held();
    const reply = await fetchData(path, {}, edge(watch));
    expect([reply.status, await reply.text()]).toEqual([200, 'some-data-of-assets']);
    expect((await fetchData(path, {}, edge(stranger))).status).toBe(404);
    const upper = edge(watch).tlsClientAuth.certFingerprintSHA256.toUpperCase();
    expect((await fetchData(path, {}, edge(watch, { certFingerprintSHA256: upper }))).status).toBe(200);
  });

  it.each([
    ['was not presented', { certPresented: '0' }, 'signature-missing'],
    [
      'was not found good',
      { certVerified: 'FAILED:unable to get issuer certificate' },
      'edge-certificate-refused',
    ],
    ['was revoked', { certRevoked: '1' }, 'edge-certificate-refused'],
    ['has no digest', { certFingerprintSHA256: '' }, 'edge-certificate-refused'],
    ['was not issued here', { certFingerprintSHA256: 'ab'.repeat(32) }, 'edge-certificate-unknown'],
  ])('that %s opens nothing', async (_what, more, kind) => {
    const path = await held();
    const from = logged.length;
    const reply = await fetchData(path, {}, edge(phone, more));
    expect([reply.status, (await reply.arrayBuffer()).byteLength]).toEqual([403, 0]);
    expect(logSince(from).find((line) => line['event'] === 'device-refused')?.['refusal']).toBe(kind);
  });

  it('that is another than the pinned one, or stands in a header, opens nothing', async () => {
    const path = await held();
    // Issued for this phone, and never used: as a renewal that another key asked for would be.
    const other = 'cd'.repeat(32);
    await env.DB.prepare(
      `INSERT INTO certificates SELECT ?1, ?1, udid, device_serial, platform, ?1, origin, renewal_of, der,
         not_before_ms, not_after_ms FROM certificates WHERE udid = ?2 LIMIT 1`,
    )
      .bind(other, phone.udid)
      .run();
    const from = logged.length;
    expect((await fetchData(path, {}, edge(phone, { certFingerprintSHA256: other }))).status).toBe(403);
    expect(logSince(from).find((line) => line['event'] === 'device-refused')?.['refusal']).toBe(
      'pin-mismatch',
    );
    await env.DB.prepare('DELETE FROM certificates WHERE digest = ?').bind(other).run();
    const { certFingerprintSHA256: digest } = edge(phone).tlsClientAuth;
    const headers = {
      'cf-client-cert-sha256': digest,
      'client-cert': `:${phone.certificate?.der.toString('base64')}:`,
      'x-client-cert-verified': 'SUCCESS',
    };
    expect((await fetchData(path, headers)).status).toBe(403);
  });

  it('does not help a request whose signature is wrong', async () => {
    const path = await held();
    const wrong = { 'mdm-signature': stranger.mdmSignature(Buffer.from('another body')) };
    expect((await fetchData(path, wrong, edge(phone))).status).toBe(403);
  });
});

describe('a legacy profile', () => {
  it('is downloaded by a phone and a watch, again when it changes, and by nobody else', async () => {
    secrets.add('uploaded profile', 'the-wifi-password');
    const xml = mobileConfig();
    const content = (device: Device) =>
      open(device.profileData(id('wifi')) ?? Buffer.alloc(0)).content.toString();
    await done(putProfile(id('wifi'), xml));
    await give([], ['wifi']);
    for (const device of [phone, watch]) {
      expect(validity(device)).toEqual({ act: 'valid', wifi: 'valid' });
      expect(content(device)).toBe(xml);
    }
    const next = xml.replace('the-wifi-password', 'the-wifi-passwort');
    await done(putProfile(id('wifi'), next, REPLACE));
    await sync(watch);
    expect(content(watch)).toBe(next);
    const path = `/ddm/profiles/${id('wifi')}`;
    const reply = await fetchData(path, {}, edge(watch));
    expect([reply.status, reply.headers.get('content-type'), reply.headers.get('content-length')]).toEqual([
      200,
      'application/x-apple-aspen-config',
      String(watch.profileData(id('wifi'))?.length),
    ]);
    expect((await fetchData(path, signed(stranger))).status).toBe(404);
    expect((await fetchData(path, {})).status).toBe(403);
    expect((await fetchData(`/ddm/assets/${id('wifi')}`, signed(watch))).status).toBe(404);
    await admin('DELETE', `sets/assets${story}/devices/${watch.udid}`);
    await sync(watch);
    expect(watch.profileData(id('wifi'))).toBeNull();
    expect((await fetchData(path, signed(watch))).status).toBe(404);
  });

  it('of another server, declared by hand, is not looked for here', async () => {
    await declare('elsewhere', 'com.apple.configuration.legacy', {
      ProfileURL: 'https://files.example.com/wifi.mobileconfig',
    });
    await admin('PUT', `sets/assets${story}`, { declarations: [id('elsewhere')] });
    await admin('PUT', `sets/assets${story}/devices/${stranger.udid}`);
    expect((await fetchData(`/ddm/profiles/${id('elsewhere')}`, signed(stranger))).status).toBe(404);
    await admin('DELETE', `sets/assets${story}/devices/${stranger.udid}`);
  });
});
