/** Profiles described in JSON, in the whole Worker: the examples of the page, what is stored, and what stays unsaid. */
import { describe, expect, it } from 'vitest';
import page from '../../../docs/api.md?raw';
import { parsePem } from '../../../src/pki/pem.ts';
import { type Bytes, toBase64 } from '../../../src/std/bytes.ts';
import { build as buildHere, examplesOf } from '../../support/profiles.ts';
import {
  CREATE,
  call,
  type Document,
  declaration,
  fresh,
  profile,
  putProfile,
  REPLACE,
} from '../../support/uploads.ts';
import vectors from '../../vectors/pkcs12/openssl.json';
import caPem from '../../vectors/scep/ca.pem?raw';

const examples = examplesOf(page, {
  'BASE64-OF-ca.der': toBase64(parsePem(caPem, 'CERTIFICATE')[0] as Bytes),
  'PEM-OF-ca.pem': caPem,
  'BASE64-OF-identity.p12': vectors.files[0]?.file ?? '',
});
const JSON_TYPE = { 'Content-Type': 'application/json' };
const ASPEN = 'application/x-apple-aspen-config';
const SECRET = 'the-wifi-password';
const WIFI: Document = {
  displayName: 'Office',
  payloads: [
    {
      type: 'com.apple.wifi.managed',
      name: 'wifi',
      keys: { SSID_STR: 'Office', EncryptionType: 'WPA2', Password: SECRET },
    },
  ],
};
const without = (keys: Document): Document => ({
  ...WIFI,
  platform: 'watchOS',
  payloads: [{ type: 'com.apple.wifi.managed', name: 'wifi', keys }],
});

const put = (id: string, body: Document, more: Record<string, string> = CREATE, query = '') =>
  call('PUT', `${profile(id)}${query}`, body, { ...JSON_TYPE, ...more });
const build = (body: Document, more: Record<string, string> = {}, query = '') =>
  call('POST', `/profiles/build${query}`, { identifier: 'com.example.build', ...body }, more);

describe('the examples of docs/api.md', () => {
  it('are one at least for each payload type with rules', () => {
    const types = examples.flatMap(({ payloads }) => payloads.map(({ type }) => type));
    expect([...new Set(types)].sort()).toEqual([
      'com.apple.applicationaccess',
      'com.apple.cellular',
      'com.apple.mobiledevice.passwordpolicy',
      'com.apple.security.acme',
      'com.apple.security.pem',
      'com.apple.security.pkcs1',
      'com.apple.security.pkcs12',
      'com.apple.security.root',
      'com.apple.security.scep',
      'com.apple.vpn.managed.applayer',
      'com.apple.wifi.managed',
    ]);
  });

  it.each(examples.map((example) => [example.displayName, example] as const))(
    'build and store %s, with nothing to warn of',
    async (_name, example) => {
      const id = fresh('example');
      const built = await build({ ...example, identifier: id }, { Accept: ASPEN });
      expect([built.status, built.text]).toEqual([200, expect.stringContaining('<plist')]);
      const stored = await put(id, example);
      expect(stored).toMatchObject({
        status: 201,
        body: { payloadIdentifier: id, signed: false },
      });
      // The examples' certificates are fixed, and the clock is not.
      const warnings = stored.body.warnings.map(({ rule }: Document) => rule);
      expect(warnings.filter((rule: string) => !/^(expired|not-yet-valid)$/.test(rule))).toEqual([]);
      expect((await call('GET', `${profile(id)}/content`)).text).toBe(built.text);
    },
  );
});

describe('a description', () => {
  it('is stored as its profile, and repeated it is no new version', async () => {
    const id = fresh('built');
    const created = await put(id, WIFI);
    expect(created).toMatchObject({
      status: 201,
      body: {
        identifier: id,
        payloadIdentifier: id,
        displayName: 'Office',
        payloadTypes: ['com.apple.wifi.managed'],
      },
    });
    expect(created.body).toMatchObject({ payloads: [{ name: 'wifi' }], warnings: [] });
    const again = await put(id, { payloads: WIFI.payloads, displayName: 'Office' });
    expect(again).toMatchObject({ status: 200, etag: created.etag });
    const changed = await put(id, { ...WIFI, displayName: 'Other' }, REPLACE);
    expect(changed.status).toBe(200);
    expect(changed.etag).not.toBe(created.etag);
    expect(changed.body.payloadUuid).not.toBe(created.body.payloadUuid);
    expect(changed.body.payloads).toEqual(created.body.payloads);
    const { body } = await call('GET', profile(id));
    expect(body).toMatchObject({ displayName: 'Other', payloadUuid: changed.body.payloadUuid });
    expect((await call('GET', declaration(id))).body).toMatchObject({
      type: 'com.apple.configuration.legacy',
    });
  });

  it('takes the place of an upload, and an upload its', async () => {
    const id = fresh('both');
    await put(id, WIFI);
    const { text } = await call('GET', `${profile(id)}/content`);
    const uploaded = await putProfile(id, text, CREATE);
    expect(uploaded.status).toBe(200);
    expect(uploaded.body).not.toHaveProperty('payloads');
    expect((await putProfile(id, text.replace('>Office<', '>Other<'), REPLACE)).status).toBe(200);
    expect((await put(id, WIFI, REPLACE)).body.displayName).toBe('Office');
  });

  it('is refused with all its problems, and nothing is stored', async () => {
    const id = fresh('wrong');
    const refused = await put(id, without({ SSID_STR: 5, Pasword: SECRET }));
    expect(refused).toMatchObject({
      status: 422,
      kind: 'invalid-profile',
      body: {
        problems: [
          { path: 'payloads[0].keys.SSID_STR', rule: 'type', expected: 'a string' },
          { path: 'payloads[0].keys.Pasword', rule: 'unknown-key' },
        ],
        warnings: [],
      },
    });
    expect((await call('GET', profile(id))).status).toBe(404);
  });

  it("is read by the page's schema, every member at its place", async () => {
    const id = fresh('schema');
    const paths = async (body: Document) => {
      const answer = await put(id, body);
      return [answer.kind, ...(answer.body.errors ?? []).map(({ path }: Document) => path)];
    };
    const [wifi] = WIFI.payloads;
    expect(await paths({ payloads: WIFI.payloads })).toEqual(['invalid', '/displayName']);
    expect(await paths({ ...WIFI, payloads: [] })).toEqual(['invalid', '/payloads']);
    expect(await paths({ ...WIFI, payloads: Array(51).fill(wifi) })).toEqual(['invalid', '/payloads']);
    expect(await paths({ ...WIFI, platform: 'macOS' })).toEqual(['invalid', '/platform']);
    expect(await paths({ ...WIFI, removalDate: 'tomorrow' })).toEqual(['invalid', '/removalDate']);
    expect(await paths({ ...WIFI, payloads: [{ ...wifi, keys: [] }] })).toEqual([
      'invalid',
      '/payloads/0/keys',
    ]);
    expect(await paths({ ...WIFI, payloads: [{ ...wifi, kind: 'wifi' }] })).toEqual([
      'invalid',
      '/payloads/0/kind',
    ]);
    expect(await paths({ ...WIFI, payloads: [{ ...wifi, type: '' }] })).toEqual([
      'invalid',
      '/payloads/0/type',
    ]);
    expect((await put(id, '{"displayName":')).kind).toBe('malformed-json');
    expect((await put(id, WIFI, {})).kind).toBe('precondition-required');
  });

  it('has 50 payloads at most, and those it may have', async () => {
    const payloads = Array.from({ length: 50 }, (_, at) => ({ ...WIFI.payloads[0], name: `wifi-${at}` }));
    expect((await put(fresh('many'), { ...WIFI, payloads })).status).toBe(201);
  });

  it('is as large as an upload at most', async () => {
    const font = (bytes: number) => ({
      displayName: 'Font',
      platform: 'iOS',
      payloads: [
        { type: 'com.apple.font', name: 'font', keys: { Font: { $data: toBase64(new Uint8Array(bytes)) } } },
      ],
    });
    expect((await put(fresh('font'), font(700_000))).status).toBe(201);
    expect((await put(fresh('font'), font(800_000))).kind).toBe('upload-too-large');
    expect((await put(fresh('font'), font(1_600_000))).kind).toBe('body-too-large');
  });

  it('takes what the catalog does not know where that is allowed', async () => {
    const id = fresh('unknown');
    const strange = { ...WIFI, payloads: [{ type: 'com.example.strange', name: 'a', keys: { B: 1 } }] };
    expect((await put(id, strange)).body.problems).toMatchObject([
      { path: 'payloads[0].type', rule: 'unknown-type' },
    ]);
    expect((await put(id, strange, CREATE, '?allowUnknown=true')).status).toBe(201);
  });

  it('makes no profile that manages the device, and none of the server', async () => {
    const mdm = { ...WIFI, payloads: [{ type: 'com.apple.mdm', name: 'mdm', keys: {} }] };
    for (const query of ['', '?allowUnknown=true'])
      expect((await put(fresh('mdm'), mdm, CREATE, query)).kind).toBe('enrollment-profile');
    expect((await put('com.escapement.enrollment', WIFI)).kind).toBe('reserved-identifier');
    expect((await build({ ...WIFI, identifier: 'com.escapement.enrollment' })).kind).toBe(
      'reserved-identifier',
    );
    expect((await build({ ...WIFI, identifier: 'a\n' })).kind).toBe('malformed-identifier');
  });

  it('is told of once, in its own words, and of what a device would make of it', async () => {
    const id = fresh('warned');
    const passcode = {
      type: 'com.apple.mobiledevice.passwordpolicy',
      keys: { forcePIN: true, minLength: 4 },
    };
    const restrictions = { type: 'com.apple.applicationaccess', keys: { allowPairedWatch: false } };
    const named = [passcode, restrictions, passcode].map((one, at) => ({ ...one, name: `n${at}` }));
    const draft = { displayName: 'W', platform: 'iOS', removalDate: '2099-01-01T00:00:00Z', payloads: named };
    const stored = await put(id, draft, CREATE, '?unpairsWatches=true');
    const places = stored.body.warnings.map(({ rule, path }: Document) => `${rule} ${path}`);
    expect(places.sort()).toEqual([
      'ends-by-itself removalDate',
      'mirrored payloads[0].keys.forcePIN',
      'mirrored payloads[2].keys.forcePIN',
      'several-passcode-payloads payloads[2].type',
      'unpairs-watches payloads[1].keys.allowPairedWatch',
    ]);
    expect((await build({ ...draft, identifier: id })).body.warnings).toEqual(stored.body.warnings);
  });
});

describe('the PayloadUUID of a described profile', () => {
  it('follows from its content under a key: without it no secret can be tried against it', async () => {
    const { body } = await build(WIFI);
    const keyless = await buildHere(WIFI, { identifier: 'com.example.build' });
    expect(keyless).toMatchObject({ ok: true, value: { payloads: body.payloads } });
    expect(body.payloadUuid).not.toBe(keyless.ok && keyless.value.payloadUuid);
    expect((await build(WIFI)).body.payloadUuid).toBe(body.payloadUuid);
  });
});

describe('building without storing', () => {
  it('tells what it would be, without what is in it', async () => {
    const id = fresh('dry');
    const built = await build({ ...WIFI, identifier: id });
    expect(built).toMatchObject({
      status: 200,
      body: {
        payloadIdentifier: id,
        payloads: [{ name: 'wifi', type: 'com.apple.wifi.managed', payloadIdentifier: `${id}.wifi` }],
        warnings: [],
      },
    });
    expect(built.text).not.toContain(SECRET);
    expect((await call('GET', profile(id))).status).toBe(404);
    const stored = await put(id, WIFI);
    expect(stored.body).toMatchObject({ payloadUuid: built.body.payloadUuid, size: built.body.size });
  });

  it('gives the profile to whom asks for one', async () => {
    const built = await build(WIFI, { Accept: ASPEN });
    expect(built.text).toContain(`<string>${SECRET}</string>`);
    expect(built.body).toBeNull();
  });

  it('refuses as storing would, and warns of what works', async () => {
    const refused = await build(without({ SSID_STR: 'Office', EncryptionType: 'WPA2' }));
    expect(refused).toMatchObject({ status: 422, kind: 'invalid-profile' });
    const { body } = await build({ ...without({ SSID_STR: 'Office', EncryptionType: 'None' }) });
    expect(body.warnings).toEqual([
      {
        path: 'payloads[0].keys.EncryptionType',
        rule: 'weak',
        expected: 'WPA2 or WPA3: an open network is read by anyone',
      },
    ]);
  });

  it('is JSON, and no profile', async () => {
    expect((await build(WIFI, { 'Content-Type': ASPEN })).kind).toBe('not-json');
    expect((await call('GET', '/profiles/build')).kind).toBe('unknown-upload');
  });
});

describe('a secret in a description', () => {
  it('is in no answer, and in no log line', async () => {
    const lines: string[] = [];
    const log = console.log;
    console.log = (...words: unknown[]) => lines.push(words.join(' '));
    const texts: string[] = [];
    try {
      const id = fresh('secret');
      const bodies = [WIFI, without({ SSID_STR: '', Password: SECRET })];
      for (const body of bodies) {
        texts.push((await put(id, body)).text, (await build(body)).text);
        texts.push((await put(id, JSON.stringify(body).slice(0, -2))).text);
      }
      texts.push((await call('GET', profile(id))).text, (await call('GET', declaration(id))).text);
    } finally {
      console.log = log;
    }
    expect(lines.length).toBeGreaterThan(2);
    expect(texts.join().length).toBeGreaterThan(100);
    expect([...texts, ...lines].filter((text) => text.includes(SECRET))).toEqual([]);
  });
});
