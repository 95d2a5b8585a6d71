/** A profile as a whole: its names and references, what the same description gives, and what it may not hold. */
import { describe, expect, it } from 'vitest';
import type { ProfileDraft } from '../../../src/domain/profile/draft.ts';
import { FINDINGS_MAX } from '../../../src/domain/profile/findings.ts';
import { type JsonObject, plistToJson } from '../../../src/protocol/plist/json.ts';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import { type Bytes, readUtf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { build, IDENTIFIER, judge, NOW, payload } from '../../support/profiles.ts';

const SCEP = 'com.apple.security.scep';
const WIFI = 'com.apple.wifi.managed';
const MAIL = 'com.apple.mail.managed';
const RESTRICTIONS = 'com.apple.applicationaccess';
const UUID = /^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/;

const scep = (name: string) => payload(SCEP, { PayloadContent: { URL: 'https://scep.example.com' } }, name);
const office = (identity: string, name = 'wifi') =>
  payload(
    WIFI,
    {
      SSID_STR: 'Office',
      EncryptionType: 'WPA2',
      PayloadCertificateUUID: identity,
      EAPClientConfiguration: { AcceptEAPTypes: [13], TLSTrustedServerNames: ['radius'] },
    },
    name,
  );
const DRAFT: ProfileDraft = {
  displayName: 'Office',
  organization: 'Example',
  platform: 'watchOS',
  payloads: [scep('identity'), office('identity')],
};

function read(profile: Bytes): JsonObject {
  const parsed = parsePlist(profile);
  if (!parsed.ok) throw new Error(parsed.refusal.reason);
  return plistToJson(parsed.value) as JsonObject;
}

async function built(draft: ProfileDraft, over: Parameters<typeof build>[1] = {}) {
  const outcome = await build(draft, over);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal));
  return { ...outcome.value, read: read(outcome.value.profile) };
}

describe('a built profile', () => {
  it('has an envelope around every payload, and the names it was given', async () => {
    const { read, payloads, payloadUuid } = await built({
      ...DRAFT,
      description: 'For the office',
      removalDate: epochMs(Date.UTC(2030, 0, 1)),
      payloads: [{ ...scep('identity'), displayName: 'Identity', description: 'Yours' }, office('identity')],
    });
    const { PayloadContent: content, ...top } = read;
    expect(top).toEqual({
      PayloadType: 'Configuration',
      PayloadVersion: 1,
      PayloadIdentifier: IDENTIFIER,
      PayloadUUID: payloadUuid,
      PayloadDisplayName: 'Office',
      PayloadDescription: 'For the office',
      PayloadOrganization: 'Example',
      RemovalDate: { $date: '2030-01-01T00:00:00Z' },
      TargetDeviceType: 2,
    });
    const [identity, wifi] = content as JsonObject[];
    const [first, second] = payloads;
    expect(identity).toEqual({
      PayloadType: SCEP,
      PayloadVersion: 1,
      PayloadIdentifier: `${IDENTIFIER}.identity`,
      PayloadUUID: first?.payloadUuid,
      PayloadDisplayName: 'Identity',
      PayloadDescription: 'Yours',
      PayloadContent: { URL: 'https://scep.example.com', Keysize: 2048, 'Key Type': 'RSA', 'Key Usage': 5 },
    });
    expect(wifi).toMatchObject({
      PayloadUUID: second?.payloadUuid,
      PayloadCertificateUUID: first?.payloadUuid,
    });
    for (const uuid of [payloadUuid, first?.payloadUuid, second?.payloadUuid]) expect(uuid).toMatch(UUID);
    expect(new Set([payloadUuid, first?.payloadUuid, second?.payloadUuid]).size).toBe(3);
  });

  it('says nothing of the device unless it is for a watch', async () => {
    for (const platform of ['iOS', undefined] as const)
      expect((await built({ ...DRAFT, platform })).read).not.toHaveProperty('TargetDeviceType');
  });

  it('is the same bytes from the same description, in whatever order its keys are', async () => {
    const once = await built(DRAFT);
    expect((await built(structuredClone(DRAFT))).profile).toEqual(once.profile);
    const turned = DRAFT.payloads.map((one) => ({
      ...one,
      keys: Object.fromEntries(Object.entries(one.keys).toReversed()),
    }));
    expect((await built({ ...DRAFT, payloads: turned })).profile).toEqual(once.profile);
  });

  it('keeps its payloads’ UUIDs when its content changes, and none when its identifier does', async () => {
    const once = await built(DRAFT);
    const changed = await built({
      ...DRAFT,
      displayName: 'Other',
      payloads: [scep('identity'), office('identity')],
    });
    expect(changed.payloads).toEqual(once.payloads);
    // By its own a device's ProfileList tells versions apart.
    expect(changed.payloadUuid).not.toBe(once.payloadUuid);
    expect((await built(DRAFT)).payloadUuid).toBe(once.payloadUuid);
    const moved = await built(DRAFT, { identifier: 'com.example.other' });
    const uuids = (one: typeof once) => [
      one.payloadUuid,
      ...one.payloads.map(({ payloadUuid }) => payloadUuid),
    ];
    expect(uuids(moved).filter((uuid) => uuids(once).includes(uuid))).toEqual([]);
  });

  it('has UUIDs that no other implementation of the same rule would make differently', async () => {
    // python3: d = sha256(b'escapement/profile\ncom.example.profile\nidentity'), version 8, variant 10.
    const { payloads } = await built(DRAFT);
    expect(payloads[0]?.payloadUuid).toBe('FED4C19E-75B2-849A-8391-4C5D16FB4BC0');
  });

  it('gives a VPN that has no VPNUUID its own', async () => {
    const vpn = payload(
      'com.apple.vpn.managed.applayer',
      {
        UserDefinedName: 'VPN',
        VPNType: 'IKEv2',
        IKEv2: {
          ...{ RemoteAddress: 'a', RemoteIdentifier: 'a', LocalIdentifier: 'b' },
          ...{ AuthenticationMethod: 'SharedSecret', SharedSecret: 'c' },
        },
      },
      'vpn',
    );
    const { read, payloads } = await built({ ...DRAFT, payloads: [vpn] });
    expect((read['PayloadContent'] as JsonObject[])[0]).toMatchObject({ VPNUUID: payloads[0]?.payloadUuid });
  });
});

describe('a reference', () => {
  const judged = (...payloads: ProfileDraft['payloads']) => judge({ platform: 'watchOS', payloads });
  const anchored = (anchors: string[]) => {
    const wifi = office('identity');
    const eap = {
      ...(wifi.keys['EAPClientConfiguration'] as JsonObject),
      PayloadCertificateAnchorUUID: anchors,
    };
    return { ...wifi, keys: { ...wifi.keys, EAPClientConfiguration: eap } };
  };

  it('may come before what it names', async () => {
    const { read, payloads } = await built({ ...DRAFT, payloads: [office('identity'), scep('identity')] });
    const [wifi] = read['PayloadContent'] as JsonObject[];
    expect(wifi).toMatchObject({ PayloadCertificateUUID: payloads[1]?.payloadUuid });
  });

  it('to nothing, to itself or to another kind is refused at its place', async () => {
    const refused = ['reference PayloadCertificateUUID'];
    expect((await judged(scep('identity'), office('nobody'))).problems).toEqual(refused);
    expect((await judged(scep('identity'), office('wifi'))).problems).toEqual(refused);
    expect((await judged(scep('identity'), office('5D9D0F6A-2C2B-4D6E-8C1A-000000000000'))).problems).toEqual(
      refused,
    );
    expect((await judged(scep('identity'), anchored(['identity', 'nobody']))).problems).toEqual([
      'reference EAPClientConfiguration.PayloadCertificateAnchorUUID[0]',
      'reference EAPClientConfiguration.PayloadCertificateAnchorUUID[1]',
    ]);
  });

  it('that is no text is of the wrong type, and no more', async () => {
    const wifi = office('identity');
    const keys = { ...wifi.keys, PayloadCertificateUUID: 5 };
    expect((await judged(scep('identity'), { ...wifi, keys })).problems).toEqual([
      'type PayloadCertificateUUID',
    ]);
  });

  it('is resolved in any type of the catalog', async () => {
    const keys: JsonObject = {
      ...{ EmailAccountType: 'EmailTypeIMAP', IncomingMailServerAuthentication: 'EmailAuthPassword' },
      ...{ IncomingMailServerHostName: 'imap', IncomingMailServerUsername: 'kim' },
      ...{ OutgoingMailServerAuthentication: 'EmailAuthNone', OutgoingMailServerHostName: 'smtp' },
      ...{ SMIMESigningEnabled: true, SMIMESigningCertificateUUID: 'identity' },
    };
    const draft: ProfileDraft = {
      ...DRAFT,
      platform: 'iOS',
      payloads: [scep('identity'), payload(MAIL, keys, 'mail')],
    };
    const { read, payloads } = await built(draft);
    const [, mail] = read['PayloadContent'] as JsonObject[];
    expect(mail).toMatchObject({ SMIMESigningCertificateUUID: payloads[0]?.payloadUuid });
  });

  it('of a type that nobody knows may be anything', async () => {
    const strange = payload(
      'com.example.strange',
      { ACertificateUUID: 'identity', BCertificateUUID: 'other' },
      's',
    );
    const draft = { ...DRAFT, payloads: [scep('identity'), strange] };
    expect((await judge(draft)).problems).toEqual(['unknown-type payloads[1].type']);
    const { read, payloads } = await built(draft, { allowUnknown: true });
    const [, content] = read['PayloadContent'] as JsonObject[];
    expect(content).toMatchObject({ ACertificateUUID: payloads[0]?.payloadUuid, BCertificateUUID: 'other' });
  });
});

describe('a description', () => {
  const restrict = (keys: JsonObject, name = 'one') => payload(RESTRICTIONS, keys, name);
  const ok = { allowScreenShot: false };

  it.each(['', '-a', 'a.b', 'é', 'a b', 'a\n', 'x'.repeat(65)])(
    'with the name %j is refused',
    async (name) => {
      expect((await judge({ payloads: [restrict(ok, name)] })).problems).toEqual(['name payloads[0].name']);
    },
  );

  it('with a name twice is refused at the second', async () => {
    const payloads = [restrict(ok, 'a'), restrict(ok, 'b'), restrict(ok, 'a')];
    expect((await judge({ payloads })).problems).toEqual(['name payloads[2].name']);
  });

  it.each([
    ...['PayloadType', 'PayloadVersion', 'PayloadIdentifier', 'PayloadUUID', 'PayloadDisplayName'],
    ...['PayloadDescription', 'PayloadOrganization'],
  ])('that writes %s itself is refused', async (key) => {
    expect((await judge({ payloads: [restrict({ ...ok, [key]: 'x' })] })).problems).toEqual([
      `reserved-key ${key}`,
    ]);
  });

  it('with two payloads of a type that devices hold once is refused', async () => {
    const cellular = (name: string) => payload('com.apple.cellular', { APNs: [{ Name: 'a' }] }, name);
    expect((await judge({ payloads: [cellular('a'), cellular('b')] })).problems).toEqual([
      'single payloads[1].type',
    ]);
    expect((await judge({ payloads: [restrict(ok, 'a'), restrict(ok, 'b')] })).problems).toEqual([]);
  });

  it('with what no property list holds is refused at its place', async () => {
    for (const [value, path] of [
      [null, 'x'],
      [{ $data: '%' }, 'x'],
      ['\u0000', 'x'],
      [[1, null], 'x[1]'],
    ] as const)
      expect((await judge({ payloads: [restrict({ x: value as JsonObject })] })).problems).toEqual([
        `plist ${path}`,
      ]);
    expect((await judge({ payloads: [restrict({ $integer: '5' })] })).problems).toEqual(['type ']);
    expect((await judge({ organization: '\u0001', payloads: [restrict(ok)] })).problems).toEqual([
      'plist organization',
    ]);
    let deep: JsonObject = {};
    for (let level = 0; level < 40; level++) deep = { deep };
    expect((await judge({ payloads: [restrict({ deep })] })).problems[0]).toMatch(/^plist deep\.deep/);
  });

  it('reads marked values as what they stand for', async () => {
    const keys = { PayloadContent: { URL: 'https://scep.example.com', Keysize: { $integer: '1024' } } };
    expect(await judge({ payloads: [payload(SCEP, keys)] })).toEqual({
      problems: [],
      warnings: ['weak PayloadContent.Keysize'],
    });
  });

  it('is told every problem of every payload, at most fifty', async () => {
    const payloads = Array.from({ length: 20 }, (_, at) => restrict({ a: 1, b: 2, c: 3 }, `p${at}`));
    expect((await judge({ payloads })).problems).toHaveLength(FINDINGS_MAX);
    expect((await judge({ payloads: payloads.slice(0, 2) })).problems).toHaveLength(6);
  });

  it('for a type that its platform lacks is refused, with what to use instead', async () => {
    const apn = payload('com.apple.apn.managed', {
      DefaultsDomainName: 'com.apple.managedCarrier',
      DefaultsData: { apns: [{ apn: 'a' }] },
    });
    const refused = await build({ displayName: 'APN', platform: 'watchOS', payloads: [apn] });
    expect(refused).toMatchObject({
      ok: false,
      refusal: {
        problems: [
          {
            path: 'payloads[0].type',
            rule: 'platform',
            expected: expect.stringContaining('com.apple.cellular'),
          },
        ],
      },
    });
    expect(await judge({ payloads: [apn] })).toEqual({
      problems: [],
      warnings: ['platform payloads[0].type on watchOS', 'deprecated payloads[0].type on iOS'],
    });
  });

  it('of what is installed by hand alone is refused', async () => {
    const declarations = payload('com.apple.declarations', { Declarations: [{ $data: 'e30=' }] });
    expect((await judge({ payloads: [declarations] })).problems).toEqual(['by-hand payloads[0].type']);
  });

  it.each(['TopLevel', 'CommonPayloadKeys', 'Configuration'])(
    'with %s for a type is refused',
    async (type) => {
      const [problem] = (await judge({ payloads: [payload(type, {})] })).problems;
      expect(problem).toBe('unknown-type payloads[0].type');
    },
  );

  it('that forbids removal is for iPhones', async () => {
    const payloads = [restrict(ok)];
    expect((await judge({ platform: 'watchOS', removalDisallowed: true, payloads })).problems).toEqual([
      'platform removalDisallowed',
    ]);
    expect((await judge({ removalDisallowed: true, payloads })).warnings).toEqual([
      'platform removalDisallowed on watchOS',
    ]);
    const { read } = await built({ displayName: 'a', platform: 'iOS', removalDisallowed: true, payloads });
    expect(read).toMatchObject({ PayloadRemovalDisallowed: true });
  });

  it('that ends before it begins is warned of', async () => {
    const payloads = [restrict(ok)];
    expect((await judge({ removalDate: NOW, payloads })).warnings).toEqual([
      'ends-by-itself removalDate',
      'expired removalDate',
    ]);
    expect((await judge({ removalDate: epochMs(NOW + 1000), payloads })).warnings).toEqual([
      'ends-by-itself removalDate',
    ]);
  });
});

describe('what is found', () => {
  it('never repeats a value', async () => {
    const secret = 'S3CRET-value';
    const name = { SSID_STR: secret.repeat(9), ProxyType: secret, ProxyPACURL: secret, HESSID: 5 };
    const eap = {
      AcceptEAPTypes: [secret],
      UserName: secret,
      UserPassword: secret,
      TLSTrustedServerNames: [`a ${secret}`],
    };
    const drafts = [
      payload(WIFI, { ...name, Password: secret, EncryptionType: secret }),
      payload(WIFI, { SSID_STR: 'a', Password: secret.repeat(20), EncryptionType: 'WPA2' }),
      payload(WIFI, { SSID_STR: 'a', EAPClientConfiguration: eap, PayloadCertificateUUID: secret }),
      payload(SCEP, {
        PayloadContent: { URL: secret, Challenge: { secret }, Subject: [[[secret]]], 'Key Type': secret },
      }),
      payload(SCEP, {
        PayloadContent: { URL: secret, 'Key Type': secret, Subject: [[[`${secret} `, secret]]] },
      }),
      payload('com.apple.security.pkcs12', { PayloadContent: { $data: 'c2VjcmV0' }, Password: secret }),
      payload('com.apple.security.pkcs12', { PayloadContent: secret, Password: secret }),
      payload('com.apple.security.root', { PayloadContent: secret }),
      payload('com.apple.security.pem', { PayloadContent: `-----BEGIN PRIVATE KEY-----${secret}` }),
      payload(WIFI, { SSID_STR: { $data: secret } }),
    ];
    for (const one of drafts) {
      const outcome = await build({ displayName: secret, payloads: [one] });
      expect(outcome.ok).toBe(false);
      expect(JSON.stringify(outcome)).not.toContain(secret);
    }
  });

  it('of a whole profile is read as text by devices and by us alike', async () => {
    const { profile } = await built(DRAFT);
    expect(readUtf8(profile)).toMatch(/^<\?xml version="1\.0" encoding="UTF-8"\?>/);
  });
});
