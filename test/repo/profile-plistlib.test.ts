/**
 * Every kind of payload that is built, with certificates made here and now by OpenSSL, decoded by Python's plistlib
 * and compared key by key: what Apple's reader would find is what was described, and nothing more.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PayloadDraft } from '../../src/domain/profile/draft.ts';
import type { JsonObject } from '../../src/protocol/plist/json.ts';
import { DAY_MS, epochMs } from '../../src/std/time.ts';
import { build, IDENTIFIER, payload } from '../support/profiles.ts';
import { missing as noPython, readWithPython } from './plistlib.ts';

const noOpenssl = spawnSync('openssl', ['version']).error !== undefined;
if (noOpenssl) console.log('skipped: openssl is not installed');
const folder = mkdtempSync(join(tmpdir(), 'escapement-profiles-'));
const path = (name: string) => join(folder, name);
const base64 = (name: string) => readFileSync(path(name)).toString('base64');
const text = (name: string) => readFileSync(path(name), 'utf8');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function openssl(...args: readonly string[]) {
  const result = spawnSync('openssl', args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr);
}

const PASSWORD = 'correct horse, ü';
const SCEP = payload(
  'com.apple.security.scep',
  { PayloadContent: { URL: 'https://scep.example.com' } },
  'scep',
);

interface Built {
  readonly top: JsonObject;
  /** By name, without the envelope. */
  readonly payloads: Readonly<Record<string, JsonObject>>;
  readonly uuids: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

const built = (...payloads: PayloadDraft[]) => builtAt(Date.now(), payloads);

async function builtAt(nowMs: number, payloads: readonly PayloadDraft[]): Promise<Built> {
  const now = { nowMs: epochMs(nowMs) };
  const outcome = await build({ displayName: 'Ärzte & <Co>', platform: 'watchOS', payloads }, now);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal));
  const [read] = readWithPython([outcome.value.profile]);
  if (!read) throw new Error('Python does not read it');
  const { PayloadContent: content, ...top } = read[0] as JsonObject & { PayloadContent: JsonObject[] };
  const uuids = Object.fromEntries(
    outcome.value.payloads.map(({ name, payloadUuid }) => [name, payloadUuid]),
  );
  const bare = content.map((one, index) => {
    const { PayloadType, PayloadIdentifier, PayloadUUID, PayloadVersion, ...keys } = one;
    const { name, type } = payloads[index] as PayloadDraft;
    expect([PayloadType, PayloadIdentifier, PayloadUUID, PayloadVersion]).toEqual([
      ...[type, `${IDENTIFIER}.${name}`, uuids[name], 1],
    ]);
    return [name, keys] as const;
  });
  const warnings = outcome.value.warnings.map(({ rule, path }) => `${rule} ${path}`);
  return { top, payloads: Object.fromEntries(bare), uuids, warnings };
}

describe.skipIf(noPython || noOpenssl)('python plistlib finds in a built profile', () => {
  beforeAll(() => {
    const days = (count: number) => ['-days', String(count)];
    const make = (name: string, ...more: string[]) =>
      openssl(
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
        ...['-keyout', path(`${name}.key`), '-out', path(`${name}.pem`), '-subj', `/CN=${name}`, ...more],
      );
    make('ca', ...days(30));
    make('device', '-CA', path('ca.pem'), '-CAkey', path('ca.key'), ...days(30));
    make('short', ...days(1));
    openssl('x509', '-in', path('ca.pem'), '-outform', 'DER', '-out', path('ca.der'));
    for (const name of ['device', 'short']) {
      const files = ['-inkey', path(`${name}.key`), '-in', path(`${name}.pem`), '-certfile', path('ca.pem')];
      openssl('pkcs12', '-export', ...files, '-out', path(`${name}.p12`), '-passout', `pass:${PASSWORD}`);
    }
  });

  it('the envelope', async () => {
    const { top } = await built(SCEP);
    expect(top).toEqual({
      PayloadType: 'Configuration',
      PayloadVersion: 1,
      PayloadIdentifier: IDENTIFIER,
      PayloadUUID: expect.stringMatching(/^[0-9A-F-]{36}$/),
      PayloadDisplayName: 'Ärzte & <Co>',
      TargetDeviceType: 2,
    });
  });

  it('Wi-Fi with a password, hidden, behind a proxy, and with its own address', async () => {
    const keys: JsonObject = {
      ...{ SSID_STR: 'Büro', HIDDEN_NETWORK: true, AutoJoin: false, EncryptionType: 'WPA3' },
      ...{ Password: 'correct <horse>', DisableAssociationMACRandomization: true, EnableIPv6: false },
      ...{
        ProxyType: 'Manual',
        ProxyServer: 'proxy',
        ProxyServerPort: 3128,
        ProxyUsername: 'a',
        ProxyPassword: 'b',
      },
    };
    const automatic = {
      SSID_STR: 'b',
      ProxyType: 'Auto',
      ProxyPACURL: 'https://proxy/pac',
      EncryptionType: 'None',
    };
    const { payloads } = await built(
      payload('com.apple.wifi.managed', keys, 'a'),
      payload('com.apple.wifi.managed', automatic, 'b'),
    );
    expect(payloads).toEqual({ a: keys, b: automatic });
  });

  it('Wi-Fi with EAP-TLS, PEAP and TTLS', async () => {
    const eap = (types: number[], more: JsonObject): JsonObject => ({
      SSID_STR: `network ${types}`,
      EncryptionType: 'WPA2',
      EAPClientConfiguration: { AcceptEAPTypes: types, TLSTrustedServerNames: ['*.example.com'], ...more },
    });
    const tls = {
      ...eap([13], { PayloadCertificateAnchorUUID: ['root', 'pem'] }),
      PayloadCertificateUUID: 'p12',
    };
    const user = { UserName: 'kim', UserPassword: 'secret' };
    const ttls = eap([21], { ...user, TTLSInnerAuthentication: 'PAP', OuterIdentity: 'anonymous' });
    const { payloads, uuids, warnings } = await built(
      payload('com.apple.security.root', { PayloadContent: base64('ca.der') }, 'root'),
      payload('com.apple.security.pem', { PayloadContent: text('device.pem') }, 'pem'),
      payload(
        'com.apple.security.pkcs12',
        { PayloadContent: base64('device.p12'), Password: PASSWORD },
        'p12',
      ),
      payload('com.apple.wifi.managed', tls, 'tls'),
      payload('com.apple.wifi.managed', eap([25], user), 'peap'),
      payload('com.apple.wifi.managed', ttls, 'ttls'),
    );
    expect(warnings).toEqual([]);
    expect(payloads['tls']).toEqual({
      ...eap([13], { PayloadCertificateAnchorUUID: [uuids['root'], uuids['pem']] as string[] }),
      PayloadCertificateUUID: uuids['p12'],
    });
    expect(payloads['peap']).toEqual(eap([25], user));
    expect(payloads['ttls']).toEqual(ttls);
  });

  it('certificates and identities, octet for octet', async () => {
    const { payloads, warnings } = await built(
      payload('com.apple.security.root', { PayloadContent: text('ca.pem') }, 'root'),
      payload('com.apple.security.pkcs1', { PayloadContent: { $data: base64('ca.der') } }, 'pkcs1'),
      payload(
        'com.apple.security.pem',
        { PayloadContent: text('device.pem'), PayloadCertificateFileName: 'd.pem' },
        'pem',
      ),
      payload(
        'com.apple.security.pkcs12',
        { PayloadContent: base64('device.p12'), Password: PASSWORD },
        'p12',
      ),
    );
    expect(warnings).toEqual([]);
    expect(payloads).toEqual({
      root: { PayloadContent: { $data: base64('ca.der') } },
      pkcs1: { PayloadContent: { $data: base64('ca.der') } },
      pem: { PayloadContent: { $data: base64('device.pem') }, PayloadCertificateFileName: 'd.pem' },
      p12: { PayloadContent: { $data: base64('device.p12') }, Password: PASSWORD },
    });
  });

  it('what has expired, and a root that is none, and says so', async () => {
    const later = await builtAt(Date.now() + 2 * DAY_MS, [
      payload('com.apple.security.root', { PayloadContent: text('device.pem') }, 'root'),
      payload('com.apple.security.pkcs1', { PayloadContent: text('short.pem') }, 'pkcs1'),
      payload(
        'com.apple.security.pkcs12',
        { PayloadContent: base64('short.p12'), Password: PASSWORD },
        'p12',
      ),
    ]);
    expect(later.warnings).toEqual([
      'certificate payloads[0].keys.PayloadContent',
      'expired payloads[1].keys.PayloadContent',
      'expired payloads[2].keys.PayloadContent',
    ]);
  });

  it('SCEP with what a device would leave too weak, and as it was given', async () => {
    const request: JsonObject = {
      ...{ URL: 'https://scep.example.com/?a=1&b=2', Name: 'ca', Challenge: '<secret>', Keysize: 4096 },
      ...{ 'Key Type': 'RSA', 'Key Usage': 1, Subject: [[['CN', 'watch']], [['2.5.4.10', 'Example']]] },
      ...{ CAFingerprint: { $data: 'AAECAw==' }, Retries: 5, RetryDelay: 60, KeyIsExtractable: false },
      SubjectAltName: { dNSName: 'watch.example.com', ntPrincipalName: 'kim@example.com' },
    };
    const { payloads } = await built(SCEP, payload(SCEP.type, { PayloadContent: request }, 'full'));
    expect(payloads).toEqual({
      scep: {
        PayloadContent: { URL: 'https://scep.example.com', Keysize: 2048, 'Key Type': 'RSA', 'Key Usage': 5 },
      },
      full: { PayloadContent: request },
    });
  });

  it('ACME', async () => {
    const keys: JsonObject = {
      ...{ DirectoryURL: 'https://acme.example.com/directory', ClientIdentifier: 'client', KeySize: 384 },
      ...{ KeyType: 'ECSECPrimeRandom', HardwareBound: true, Attest: true, UsageFlags: 5 },
      ...{ Subject: [[['CN', 'watch']]], ExtendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] },
      SubjectAltName: { rfc822Name: 'kim@example.com' },
    };
    expect((await built(payload('com.apple.security.acme', keys))).payloads).toEqual({ one: keys });
  });

  it('Cellular', async () => {
    const keys: JsonObject = {
      AttachAPN: {
        Name: 'lte',
        AuthenticationType: 'CHAP',
        Username: 'a',
        Password: 'b',
        AllowedProtocolMask: 3,
      },
      APNs: [{ Name: 'internet', ProxyServer: 'proxy', ProxyPort: 8080, EnableXLAT464: true }],
    };
    expect((await built(payload('com.apple.cellular', keys))).payloads).toEqual({ one: keys });
  });

  it('a per-app VPN', async () => {
    const ike: JsonObject = {
      ...{ RemoteAddress: 'vpn.example.com', RemoteIdentifier: 'vpn', LocalIdentifier: 'watch' },
      ...{ AuthenticationMethod: 'Certificate', CertificateType: 'ECDSA256', EnablePFS: 1 },
      ...{ DisconnectOnIdle: 1, DisconnectOnIdleTimer: 10, MTU: 1300 },
      ...{ OnDemandEnabled: 1, OnDemandRules: [{ Action: 'Disconnect', InterfaceTypeMatch: 'WiFi' }] },
      ChildSecurityAssociationParameters: { EncryptionAlgorithm: 'AES-256-GCM', DiffieHellmanGroup: 20 },
    };
    const keys: JsonObject = {
      ...{ UserDefinedName: 'VPN', VPNType: 'IKEv2', AssociatedDomains: ['a.example.com'] },
      ...{ OnDemandMatchAppEnabled: true, Proxies: { HTTPEnable: 1, HTTPProxy: 'proxy', HTTPPort: 3128 } },
    };
    const vpn = (VPNUUID: JsonObject) =>
      payload(
        'com.apple.vpn.managed.applayer',
        { ...keys, ...VPNUUID, IKEv2: { ...ike, PayloadCertificateUUID: 'scep' } },
        'vpn',
      );
    const IKEv2 = (uuids: Built['uuids']) => ({ ...ike, PayloadCertificateUUID: uuids['scep'] });
    const own = await built(SCEP, vpn({}));
    expect(own.payloads['vpn']).toEqual({ ...keys, VPNUUID: own.uuids['vpn'], IKEv2: IKEv2(own.uuids) });
    const given = await built(SCEP, vpn({ VPNUUID: 'the-vpn' }));
    expect(given.payloads['vpn']).toEqual({ ...keys, VPNUUID: 'the-vpn', IKEv2: IKEv2(given.uuids) });
  });

  it('a passcode policy and restrictions', async () => {
    const passcode: JsonObject = {
      ...{ forcePIN: true, allowSimple: false, minLength: 6, maxFailedAttempts: 10, maxInactivity: 2 },
      ...{ maxPINAgeInDays: 365, pinHistory: 5, maxGracePeriod: 0 },
    };
    // All that a watch has (facts 13) but for the four that are going.
    const restrictions = Object.fromEntries(
      [
        ...[
          'allowAccountModification',
          'allowAppInstallation',
          'allowAppRemoval',
          'allowAutomaticAppDownloads',
        ],
        ...['allowDiagnosticSubmission', 'allowLockScreenNotificationsView', 'allowScreenShot'],
        ...['allowUIAppInstallation', 'forceWatchWristDetection'],
      ].map((name) => [name, name.startsWith('force')]),
    );
    const { payloads, warnings } = await built(
      payload('com.apple.mobiledevice.passwordpolicy', passcode, 'passcode'),
      payload('com.apple.applicationaccess', restrictions, 'restrictions'),
    );
    expect(payloads).toEqual({ passcode, restrictions });
    expect(warnings).toEqual([]);
  });

  it('any other type of the catalog as it was given', async () => {
    const keys = {
      DisabledForCerts: [{ Algorithm: 'sha256', Hash: { $data: 'AAAA' } }],
      DisabledForDomains: ['a'],
    };
    const transparency = payload('com.apple.security.certificatetransparency', keys);
    expect((await built(transparency)).payloads).toEqual({ one: keys });
  });
});
