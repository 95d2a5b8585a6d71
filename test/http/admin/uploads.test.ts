/** `/assets` and `/profiles` in the whole Worker: what they take, what they say of it, and what stays unsaid. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { signAttached } from '../../../src/pki/cms-sign.ts';
import { importAuthority } from '../../../src/pki/keys.ts';
import { type Bytes, toBase64, utf8 } from '../../../src/std/bytes.ts';
import { breakD1 } from '../../support/device.ts';
import {
  asset,
  CREATE,
  call,
  type Document,
  declaration,
  dict,
  fresh,
  mobileConfig,
  payload,
  profile,
  putProfile,
  REPLACE,
  text,
  WIFI,
} from '../../support/uploads.ts';
import vectors from '../../vectors/pkcs12/openssl.json';
import caPem from '../../vectors/scep/ca.pem?raw';

const TYPE = {
  certificate: 'com.apple.asset.credential.certificate',
  identity: 'com.apple.asset.credential.identity',
  userPassword: 'com.apple.asset.credential.userpassword',
  scep: 'com.apple.asset.credential.scep',
  acme: 'com.apple.asset.credential.acme',
  data: 'com.apple.asset.data',
};
const p12 = vectors.files[0]?.file ?? '';
const SCEP = { URL: 'https://scep.example.com', Challenge: 'the-challenge', Keysize: 2048 };
const UPLOADS: Record<string, Document> = {
  certificate: { type: TYPE.certificate, certificate: caPem },
  identity: {
    type: TYPE.identity,
    identity: p12,
    password: vectors.password,
    accessible: 'AfterFirstUnlock',
  },
  'user and password': { type: TYPE.userPassword, userName: 'kim', password: 'hunter2' },
  scep: { type: TYPE.scep, document: SCEP },
  acme: {
    type: TYPE.acme,
    document: {
      DirectoryURL: 'https://acme.example.com/directory',
      ClientIdentifier: 'client-1',
      KeySize: 256,
      KeyType: 'ECSECPrimeRandom',
      HardwareBound: true,
      Subject: [[['2.5.4.3', 'watch']]],
    },
  },
  data: { type: TYPE.data, contentType: 'text/plain', data: toBase64(utf8('hello')) },
};
const credentials = (password: string) => ({ type: TYPE.userPassword, userName: 'kim', password });

async function create(identifier: string, body: Document) {
  const answer = await call('PUT', asset(identifier), body, CREATE);
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  return answer;
}

/** What a change's answer says of what is now stored. */
function stored({ waiting, ...body }: Document): Document {
  expect(waiting).toBe(0);
  return body;
}

describe('an asset', () => {
  it.each(Object.keys(UPLOADS))(
    'of %s is created, read, listed and deleted without its data',
    async (name) => {
      const id = fresh('life');
      const body = UPLOADS[name];
      const created = await create(id, body);
      expect(stored(created.body)).toEqual({
        identifier: id,
        type: body.type,
        contentType: { certificate: 'application/pkcs1', data: 'text/plain' }[name] ?? 'application/json',
        size: expect.any(Number),
        accessible: body.accessible ?? null,
        serverToken: expect.stringMatching(/^[0-9a-f]{64}$/),
        updatedAt: expect.any(String),
      });
      expect(created.etag).toBe(`"${created.body.serverToken}"`);
      expect(await call('GET', asset(id))).toMatchObject({
        status: 200,
        etag: created.etag,
        body: stored(created.body),
      });
      const all = await call('GET', '/assets?limit=500');
      expect(all.body.items).toContainEqual(stored(created.body));
      const declared = await call('GET', declaration(id));
      expect(declared.body).toMatchObject({
        kind: 'asset',
        type: body.type,
        serverToken: created.body.serverToken,
        payload: {
          Reference: {
            DataURL: `${env.PUBLIC_URL}/ddm/assets/${id}`,
            ContentType: created.body.contentType,
            Size: created.body.size,
          },
          Authentication: { Type: 'MDM' },
          ...(body.accessible === undefined ? {} : { Accessible: body.accessible }),
        },
      });
      expect(Object.keys(declared.body.payload.Reference)).not.toContain('Hash-SHA-256');
      expect((await call('DELETE', asset(id), undefined, { 'If-Match': '"x"' })).kind).toBe(
        'precondition-failed',
      );
      expect((await call('DELETE', asset(id))).status).toBe(204);
      for (const path of [asset(id), declaration(id)]) expect((await call('GET', path)).status).toBe(404);
      expect((await call('DELETE', asset(id))).kind).toBe('unknown-upload');
      const rows = await env.DB.prepare('SELECT 1 FROM uploads WHERE identifier = ?').bind(id).all();
      expect(rows.results).toEqual([]);
    },
  );

  it('is not written without a precondition, nor under one that does not hold', async () => {
    const id = fresh('precondition');
    const judged = async (password: string, more: Record<string, string>) =>
      (await call('PUT', asset(id), credentials(password), more)).kind;
    expect(await judged('a', {})).toBe('precondition-required');
    expect(await judged('a', REPLACE)).toBe('precondition-failed');
    const { etag } = await create(id, credentials('a'));
    expect(await judged('b', CREATE)).toBe('precondition-failed');
    expect(await judged('b', { 'If-Match': '"x"' })).toBe('precondition-failed');
    expect(await judged('b', { 'If-Match': etag })).toBe('');
    expect(await judged('c', { 'If-Match': etag })).toBe('precondition-failed');
  });

  it('keeps its token for the same data, and has another for other data of the same size', async () => {
    const id = fresh('token');
    const first = await create(id, credentials('hunter2'));
    const again = await call('PUT', asset(id), credentials('hunter2'), CREATE);
    expect([again.status, again.body]).toEqual([200, first.body]);
    const other = await call('PUT', asset(id), credentials('hunter3'), { 'If-Match': first.etag });
    expect([other.status, other.body.size]).toEqual([200, first.body.size]);
    expect(other.etag).not.toBe(first.etag);
    const back = await call('PUT', asset(id), credentials('hunter2'), { 'If-Match': other.etag });
    // A token that came back would tell whoever saw both that the password did.
    expect([first.etag, other.etag]).not.toContain(back.etag);
  });

  it('has a token that two uploads of one password do not share, and that a touch changes', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    await create(a, credentials('hunter2'));
    await call('DELETE', asset(a));
    const before = await create(a, credentials('hunter2'));
    await call('DELETE', asset(a));
    expect((await create(a, credentials('hunter2'))).etag).not.toBe(before.etag);
    await create(b, credentials('hunter2'));
    const touched = await call('POST', `${declaration(b)}/touch`);
    const put = await call('PUT', asset(b), credentials('hunter2'), CREATE);
    expect(put.etag).toBe(touched.etag);
  });

  it('changes its token, and not its salt, when only its accessibility does', async () => {
    const id = fresh('accessible');
    const salt = async () =>
      (await env.DB.prepare('SELECT salt FROM declarations WHERE identifier = ?').bind(id).first())?.['salt'];
    const upload = { type: TYPE.scep, document: SCEP };
    const { etag } = await create(id, upload);
    const before = await salt();
    const put = await call('PUT', asset(id), { ...upload, accessible: 'Default' }, { 'If-Match': etag });
    expect([put.status, put.body.accessible, await salt()]).toEqual([200, 'Default', before]);
    expect(put.etag).not.toBe(etag);
    expect((await call('GET', asset(id))).body).toEqual(stored(put.body));
  });

  it('takes one of several writers who started from the same tag, and keeps that one’s data', async () => {
    const id = fresh('race');
    const { etag } = await create(id, UPLOADS['data']);
    const sizes = [1, 2, 3, 4];
    const answers = await Promise.all(
      sizes.map((size) =>
        call(
          'PUT',
          asset(id),
          { type: TYPE.data, contentType: 'text/plain', data: toBase64(new Uint8Array(size)) },
          { 'If-Match': etag },
        ),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
    const winner = answers.find(({ status }) => status === 200)?.body;
    expect((await call('GET', asset(id))).body).toEqual(stored(winner));
  });

  it('is stored with its declaration or not at all, and the same call again mends it', async () => {
    const id = fresh('outage');
    const outage = breakD1('batch');
    const failed = await call('PUT', asset(id), UPLOADS['data'], CREATE);
    outage.mockRestore();
    expect([failed.status, failed.kind]).toEqual([503, 'unavailable']);
    for (const path of [asset(id), declaration(id)]) expect((await call('GET', path)).status).toBe(404);
    // A batch whose last statement fails leaves nothing of the first.
    const upload = await env.DB.prepare('SELECT count(*) AS n FROM uploads').first();
    await env.DB.prepare(
      "CREATE TRIGGER no_uploads BEFORE INSERT ON uploads BEGIN SELECT RAISE(ABORT, 'no'); END",
    ).run();
    expect((await call('PUT', asset(id), UPLOADS['data'], CREATE)).kind).toBe('unavailable');
    await env.DB.prepare('DROP TRIGGER no_uploads').run();
    expect((await call('GET', declaration(id))).status).toBe(404);
    expect(await env.DB.prepare('SELECT count(*) AS n FROM uploads').first()).toEqual(upload);
    await create(id, UPLOADS['data']);
  });

  it('is not changed as a declaration, and goes as one', async () => {
    const id = fresh('declared');
    const { etag } = await create(id, UPLOADS['certificate']);
    const { type, payload: before } = (await call('GET', declaration(id))).body;
    const same = await call('PUT', declaration(id), { type, payload: before }, { 'If-Match': etag });
    expect([same.status, same.etag]).toEqual([200, etag]);
    const changed = { Reference: { ...before.Reference, Size: 1 }, Authentication: { Type: 'None' } };
    const put = await call('PUT', declaration(id), { type, payload: changed }, { 'If-Match': etag });
    expect([put.status, put.kind]).toEqual([409, 'made-by-upload']);
    expect(put.body.detail).toContain('/api/v1/assets');
    expect((await call('DELETE', declaration(id))).status).toBe(204);
    expect((await call('GET', asset(id))).kind).toBe('unknown-upload');
  });

  it('may take the place of one that was declared by hand, and keeps its type', async () => {
    const id = fresh('by-hand');
    const payload = { Reference: { DataURL: 'https://files.example.com/a' } };
    const made = await call('PUT', declaration(id), { type: TYPE.data, payload }, CREATE);
    expect((await call('GET', asset(id))).kind).toBe('unknown-upload');
    expect((await call('PUT', asset(id), credentials('a'), { 'If-Match': made.etag })).kind).toBe(
      'type-fixed',
    );
    expect((await call('PUT', asset(id), UPLOADS['data'], { 'If-Match': made.etag })).status).toBe(200);
    expect((await call('PUT', asset(id), credentials('a'), REPLACE)).kind).toBe('type-fixed');
    const other = { type: TYPE.certificate, payload };
    const hand = fresh('by-hand');
    await call('PUT', declaration(hand), { type: TYPE.data, payload }, CREATE);
    const put = await call('PUT', declaration(hand), other, REPLACE);
    expect([put.status, put.kind]).toEqual([409, 'type-fixed']);
  });

  it('is not deleted while something refers to it', async () => {
    const id = fresh('held');
    await create(id, UPLOADS['certificate']);
    const holder = fresh('holder');
    const type = 'com.apple.configuration.security.certificate';
    const put = { type, payload: { CredentialAssetReference: id } };
    expect((await call('PUT', declaration(holder), put, CREATE)).status).toBe(201);
    const refused = await call('DELETE', asset(id));
    expect([refused.kind, refused.body.declarations]).toEqual(['still-referenced', [holder]]);
    await call('DELETE', declaration(holder));
    expect((await call('DELETE', asset(id))).status).toBe(204);
  });

  it('of the server itself is not listed, and its identifiers are not taken', async () => {
    const own = 'com.escapement.anchor.x';
    expect((await call('PUT', asset(own), UPLOADS['certificate'], CREATE)).kind).toBe('reserved-identifier');
    expect((await call('GET', asset(own))).kind).toBe('unknown-upload');
  });

  it('is told to devices under a URL with its identifier percent-encoded', async () => {
    const id = `a/b ü ${fresh('x').slice(-8)}`;
    await create(id, UPLOADS['certificate']);
    const { payload: told } = (await call('GET', declaration(id))).body;
    expect(told.Reference.DataURL).toBe(`${env.PUBLIC_URL}/ddm/assets/${encodeURIComponent(id)}`);
  });

  it.each([
    ['a certificate that is none', { type: TYPE.certificate, certificate: 'AAAA' }, '/certificate'],
    ['two certificates', { type: TYPE.certificate, certificate: caPem + caPem }, '/certificate'],
    ['an identity that is no base64', { ...UPLOADS['identity'], identity: '?' }, '/identity'],
    ['an identity that is none', { ...UPLOADS['identity'], identity: 'AAAA' }, '/identity'],
    ['an identity and another password', { ...UPLOADS['identity'], password: 'battery' }, '/password'],
    ['data that is no base64', { ...UPLOADS['data'], data: '?' }, '/data'],
  ])('with %s is refused with the place, and nothing of it repeated', async (_what, body, path) => {
    const refused = await call('PUT', asset(fresh('bad')), body, CREATE);
    expect([refused.status, refused.kind]).toEqual([422, 'unreadable-upload']);
    expect(refused.body.errors).toEqual([{ path, expected: expect.any(String) }]);
    expect(refused.text).not.toContain('battery');
  });

  it('with a credential that the catalog does not know is refused with the place', async () => {
    const put = (document: Document, allowUnknown = false) =>
      call('PUT', asset(fresh('scep')), { type: TYPE.scep, document, allowUnknown }, CREATE);
    const { kind, body } = await put({ ...SCEP, Keysize: 1, More: 'x' });
    expect(kind).toBe('invalid-content');
    expect(body.problems.map(({ path, rule }: Document) => [path, rule])).toEqual([
      ['document.Keysize', 'values'],
      ['document.More', 'unknown-key'],
    ]);
    expect((await put({ Challenge: 'the-challenge' })).text).not.toContain('the-challenge');
    expect((await put({ ...SCEP, More: 'x' }, true)).status).toBe(201);
  });

  it('with a request that its keys together make impossible is refused with the place', async () => {
    const paths = async (type: string, document: Document) => {
      const refused = await call('PUT', asset(fresh('request')), { type, document }, CREATE);
      return [refused.kind, ...refused.body.problems.map(({ path }: Document) => path)];
    };
    const { document: acme } = UPLOADS['acme'];
    expect(await paths(TYPE.acme, { ...acme, KeyType: 'RSA', KeySize: 2048 })).toEqual([
      'invalid-content',
      'document.HardwareBound',
    ]);
    expect(await paths(TYPE.scep, { ...SCEP, 'Key Usage': 3 })).toEqual([
      'invalid-content',
      'document.Key Usage',
    ]);
  });

  it.each([
    [{ type: 'com.apple.asset.useridentity', payload: {} }, '/type', /\/declarations/],
    [{ type: TYPE.userPassword, password: 'x' }, '/userName', /present/],
    [{ type: TYPE.userPassword, userName: 'kim', password: '' }, '/password', /1 to 256/],
    [{ ...UPLOADS['identity'], accessible: 'Always' }, '/accessible', /AfterFirstUnlock/],
    [{ ...UPLOADS['data'], contentType: 'text' }, '/contentType', /media type/],
    [{ ...UPLOADS['data'], contentType: 'text/plain\r\nX: y' }, '/contentType', /media type/],
    [{ ...UPLOADS['certificate'], accessible: 'Default' }, '/accessible', /no such member/],
  ])('of another form is refused (%#)', async (body, path, expected) => {
    const { status, body: problem } = await call('PUT', asset(fresh('form')), body, CREATE);
    expect([status, problem.errors]).toEqual([400, [{ path, expected: expect.stringMatching(expected) }]]);
  });

  it('of data that is a profile is refused when it would manage the device or unpair its watch', async () => {
    const put = (xml: string) => {
      const data = { type: TYPE.data, contentType: 'application/xml', data: toBase64(utf8(xml)) };
      return call('PUT', asset(fresh('profile')), data, CREATE);
    };
    const ban = payload('com.apple.applicationaccess', { allowPairedWatch: '<false/>' });
    const own = (await import('../../../src/protocol/profile/enrollment-profile.ts'))
      .ENROLLMENT_PROFILE_IDENTIFIER;
    const grave = [
      mobileConfig([payload('com.apple.mdm')]),
      mobileConfig([WIFI], { PayloadIdentifier: text(own) }),
      mobileConfig([ban]),
    ];
    for (const xml of grave) {
      const refused = await put(xml);
      expect([refused.status, refused.kind, refused.body?.errors?.[0]?.path]).toEqual([
        422,
        'unreadable-upload',
        '/data',
      ]);
    }
    expect((await put(mobileConfig())).status).toBe(201);
  });

  it('may have 1 MiB and not an octet more', async () => {
    const put = (size: number) =>
      call(
        'PUT',
        asset(fresh('large')),
        { ...UPLOADS['data'], data: toBase64(new Uint8Array(size)) },
        CREATE,
      );
    expect((await put(1024 * 1024)).status).toBe(201);
    const refused = await put(1024 * 1024 + 1);
    expect([refused.status, refused.kind]).toEqual([413, 'upload-too-large']);
    expect((await put(2 * 1024 * 1024)).kind).toBe('body-too-large');
  });
});

describe('a reference to an asset', () => {
  const MAIL = 'com.apple.configuration.account.mail';
  it.each([
    [
      'a key',
      'com.apple.configuration.security.identity',
      (id: string) => ({ CredentialAssetReference: id }),
      'Payload.CredentialAssetReference',
    ],
    [
      'a list',
      'com.apple.configuration.watch.enrollment',
      (id: string) => ({
        EnrollmentProfileURL: 'https://mdm.example.com/enroll/watch',
        AnchorCertificateAssetReferences: [id],
      }),
      'Payload.AnchorCertificateAssetReferences[0]',
    ],
    [
      'a dictionary',
      MAIL,
      (id: string) => ({
        IncomingServer: {
          ServerType: 'IMAP',
          HostName: 'mail.example.com',
          AuthenticationMethod: 'None',
          AuthenticationCredentialsAssetReference: id,
        },
        OutgoingServer: { HostName: 'mail.example.com', AuthenticationMethod: 'None' },
      }),
      'Payload.IncomingServer.AuthenticationCredentialsAssetReference',
    ],
  ])('in %s is refused where the type does not fit', async (_what, type, payloadOf, path) => {
    const id = fresh('data');
    await create(id, UPLOADS['data']);
    const put = { type, payload: payloadOf(id), allowUnknown: true };
    const { status, kind, body } = await call('PUT', declaration(fresh('mistyped')), put, CREATE);
    expect([status, kind]).toEqual([422, 'asset-type-mismatch']);
    expect(body.references).toEqual([
      { path, identifier: id, type: TYPE.data, allowed: expect.arrayContaining([expect.any(String)]) },
    ]);
    expect(body.references[0].allowed).not.toContain(TYPE.data);
  });
});

const FITS = { ok: true, problems: [], passedOver: [] };

describe('a profile', () => {
  it('is created, read back, listed, replaced and deleted', async () => {
    const id = fresh('profile');
    const xml = mobileConfig();
    const created = await putProfile(id, xml);
    const { platforms, warnings, ...listed } = stored(created.body);
    expect({ platforms, warnings }).toEqual({
      platforms: { iOS: FITS, watchOS: FITS },
      warnings: [],
    });
    expect([created.status, listed]).toEqual([
      201,
      {
        identifier: id,
        version: 1,
        signedOnDelivery: true,
        payloadIdentifier: 'com.example.profile',
        payloadUuid: '5D9D0F6A-2C2B-4D6E-8C1A-000000000000',
        displayName: 'Wi-Fi',
        payloadTypes: ['com.apple.wifi.managed'],
        signed: false,
        size: xml.length,
        serverToken: expect.stringMatching(/^[0-9a-f]{64}$/),
        updatedAt: expect.any(String),
      },
    ]);
    expect((await call('GET', declaration(id))).body).toMatchObject({
      kind: 'configuration',
      type: 'com.apple.configuration.legacy',
      serverToken: created.body.serverToken,
      payload: { ProfileURL: `${env.PUBLIC_URL}/ddm/profiles/${id}` },
    });
    expect(await call('GET', profile(id))).toMatchObject({ etag: created.etag, body: stored(created.body) });
    expect((await call('GET', '/profiles?limit=500')).body.items).toContainEqual(listed);
    expect((await call('GET', `${profile(id)}/content`)).text).toBe(xml);
    const again = await putProfile(id, xml);
    expect([again.status, again.etag]).toEqual([200, created.etag]);
    const next = xml.replace('the-wifi-password', 'the-wifi-passwort');
    const replaced = await putProfile(id, next, { 'If-Match': created.etag });
    expect([replaced.status, replaced.body.size]).toEqual([200, created.body.size]);
    expect(replaced.etag).not.toBe(created.etag);
    const put = { type: 'com.apple.configuration.legacy', payload: { ProfileURL: 'https://example.com' } };
    const declared = await call('PUT', declaration(id), put, REPLACE);
    expect([declared.kind, declared.body.detail]).toEqual([
      'made-by-upload',
      expect.stringContaining('/api/v1/profiles'),
    ]);
    expect((await call('GET', asset(id))).kind).toBe('unknown-upload');
    expect((await call('DELETE', asset(id))).kind).toBe('unknown-upload');
    expect((await call('DELETE', profile(id))).status).toBe(204);
    for (const path of [profile(id), `${profile(id)}/content`, declaration(id)])
      expect((await call('GET', path)).status).toBe(404);
  });

  it('may be signed, and is kept with its signature', async () => {
    const id = fresh('signed');
    const { signer } = await importAuthority(env.CA_CERTIFICATE, env.CA_KEY);
    const signed = await signAttached(utf8(mobileConfig()), signer);
    const put = await putProfile(id, signed);
    expect([put.status, put.body.signed, put.body.size]).toEqual([201, true, signed.length]);
    const cut = await putProfile(fresh('cut'), signed.subarray(0, signed.length - 1));
    expect(cut.kind).toBe('malformed-profile');
    const detail = await putProfile(fresh('other'), await signAttached(utf8('hello') as Bytes, signer));
    expect(detail.kind).toBe('malformed-profile');
  });

  it.each([
    [
      'an unknown payload',
      [payload('com.example.custom')],
      {},
      'PayloadContent[0].PayloadType',
      'unknown-type',
    ],
    ['an unknown key', [{ ...WIFI, More: text('x') }], {}, 'PayloadContent[0].More', 'unknown-key'],
    [
      'a missing key of a payload',
      [{ PayloadType: text('com.apple.wifi.managed') }],
      {},
      'PayloadContent[0].PayloadVersion',
      'required',
    ],
    ['a payload without a type', [{}], {}, 'PayloadContent[0].PayloadType', 'required'],
    ['another top type', [WIFI], { PayloadType: text('Other') }, 'PayloadType', 'values'],
    ['no UUID', [WIFI], { PayloadUUID: '' }, 'PayloadUUID', 'required'],
    ['no identifier', [WIFI], { PayloadIdentifier: '' }, 'PayloadIdentifier', 'required'],
    ['no version', [WIFI], { PayloadVersion: '' }, 'PayloadVersion', 'required'],
    ['no content', [WIFI], { PayloadContent: '' }, 'PayloadContent', 'required'],
    [
      'an item that is no dictionary',
      [],
      { PayloadContent: '<array><true/></array>' },
      'PayloadContent[0]',
      'type',
    ],
  ])('with %s is refused with the place', async (_what, payloads, more, path, rule) => {
    const refused = await putProfile(fresh('bad'), mobileConfig(payloads, more as Record<string, string>));
    expect([refused.status, refused.kind]).toEqual([422, 'invalid-content']);
    expect(refused.body.problems[0]).toEqual({ path, rule, expected: expect.any(String) });
    expect(refused.text).not.toContain('the-wifi-password');
  });

  it('with unknown payloads and keys is taken when that is allowed', async () => {
    const xml = mobileConfig([payload('com.example.custom'), { ...WIFI, More: text('x') }]);
    const put = await putProfile(fresh('custom'), xml, CREATE, '?allowUnknown=true');
    expect([put.status, put.body.payloadTypes]).toEqual([
      201,
      ['com.example.custom', 'com.apple.wifi.managed'],
    ]);
  });

  it('that would manage the device, or replace the one that does, is refused', async () => {
    const mdm = payload('com.apple.mdm', {
      Topic: text('com.apple.mgmt.x'),
      ServerURL: text('https://mdm.example.com'),
      IdentityCertificateUUID: text('x'),
    });
    const own = (await import('../../../src/protocol/profile/enrollment-profile.ts'))
      .ENROLLMENT_PROFILE_IDENTIFIER;
    for (const xml of [mobileConfig([mdm]), mobileConfig([WIFI], { PayloadIdentifier: text(own) })]) {
      const refused = await putProfile(fresh('mdm'), xml, CREATE, '?allowUnknown=true');
      expect([refused.status, refused.kind]).toEqual([422, 'enrollment-profile']);
    }
  });

  it.each([
    ['EncryptedPayloadContent', '<data>AAAA</data>'],
    ['IsEncrypted', '<true/>'],
  ])('that is encrypted, as %s says, is refused whatever stands beside', async (key, said) => {
    const refused = await putProfile(fresh('sealed'), mobileConfig([WIFI], { [key]: said }));
    expect([refused.status, refused.kind]).toEqual([422, 'malformed-profile']);
  });

  it.each([
    ['no property list', 'hello'],
    ['an array', `<plist version="1.0"><array/></plist>`],
    ['an entity', `<!DOCTYPE plist [<!ENTITY a "b">]><plist version="1.0">${dict({})}</plist>`],
    ['a binary property list that is none', 'bplist00xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'],
    ['nothing', ''],
  ])('that is %s is refused', async (_what, body) => {
    expect((await putProfile(fresh('bad'), body)).kind).toBe('malformed-profile');
  });

  it('is asked for by its content type, its precondition and its size', async () => {
    const id = fresh('edge');
    const xml = mobileConfig();
    expect((await putProfile(id, xml, { ...CREATE, 'Content-Type': 'text/plain' })).kind).toBe(
      'not-a-profile',
    );
    expect((await putProfile(id, xml, {})).kind).toBe('precondition-required');
    expect((await putProfile(id, xml, CREATE, '?allowUnknown=1')).kind).toBe('invalid');
    const large = mobileConfig([WIFI], { PayloadDescription: text('x'.repeat(1024 * 1024)) });
    expect((await putProfile(id, large)).kind).toBe('body-too-large');
    const put = await putProfile(id, xml, { ...CREATE, 'Content-Type': 'application/xml; charset=utf-8' });
    expect(put.status).toBe(201);
  });
});

describe('what is stored', () => {
  it('holds no secret in D1 or KV, and no answer does', async () => {
    const secrets = [
      'hunter2-at-rest',
      'challenge-at-rest',
      'wifi-at-rest',
      'data-at-rest',
      vectors.password,
    ];
    const [user, scep, data, p, identity] = ['u', 's', 'd', 'p', 'i'].map(fresh) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const answers = [
      await call('PUT', asset(user), credentials('hunter2-at-rest'), CREATE),
      await call(
        'PUT',
        asset(scep),
        { type: TYPE.scep, document: { ...SCEP, Challenge: 'challenge-at-rest' } },
        CREATE,
      ),
      await call('PUT', asset(data), { ...UPLOADS['data'], data: toBase64(utf8('data-at-rest')) }, CREATE),
      await call('PUT', asset(identity), UPLOADS['identity'], CREATE),
      await putProfile(p, mobileConfig().replace('the-wifi-password', 'wifi-at-rest')),
      await call('GET', '/assets?limit=500'),
      await call('GET', '/profiles?limit=500'),
      await call('GET', '/declarations?limit=500'),
      ...(await Promise.all([user, scep, data, p, identity].map((id) => call('GET', declaration(id))))),
    ];
    const tables = await env.DB.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const held: string[] = answers.map((one) => one.text);
    for (const { name } of tables.results as { name: string }[]) {
      if (name.startsWith('_') || name.startsWith('sqlite_') || name.startsWith('d1_')) continue;
      for (const row of (await env.DB.prepare(`SELECT * FROM ${name}`).all()).results)
        held.push(
          ...Object.values(row).map((value) =>
            Array.isArray(value) ? Buffer.from(value).toString('latin1') : String(value),
          ),
        );
    }
    for (const { name } of (await env.RENDERED.list()).keys)
      held.push(name, (await env.RENDERED.get(name)) ?? '');
    expect(held.length).toBeGreaterThan(50);
    for (const secret of secrets)
      for (const form of [secret, btoa(secret), p12.slice(0, 40), Buffer.from(secret).toString('hex')])
        expect(held.filter((one) => one.includes(form))).toEqual([]);
  });
});
