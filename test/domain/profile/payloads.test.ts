/** Each payload type's rules that span keys: what is refused, what is warned of, and where. */
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import { judge, payload, type Verdict } from '../../support/profiles.ts';

type Platform = 'watchOS' | 'iOS';
type Row = readonly [
  what: string,
  keys: JsonObject,
  problems: readonly string[],
  warnings?: readonly string[],
];

const SCEP = 'com.apple.security.scep';
const request = { URL: 'https://scep.example.com', Challenge: 'a-challenge' };
const IDENTITY = payload(SCEP, { PayloadContent: request }, 'identity');

async function judged(type: string, keys: JsonObject, platform?: Platform): Promise<Verdict> {
  return judge({ platform, payloads: [IDENTITY, payload(type, keys)] });
}

/** In a profile for the watch. */
function rows(type: string, cases: readonly Row[]) {
  for (const [what, keys, problems, warnings = []] of cases) {
    it(`with ${what}`, async () => {
      expect(await judged(type, keys, 'watchOS')).toEqual({ problems, warnings });
    });
  }
}

const wifi = (keys: JsonObject): JsonObject => ({ SSID_STR: 'Office', EncryptionType: 'WPA2', ...keys });
const psk = (keys: JsonObject): JsonObject => wifi({ Password: 'correct horse', ...keys });
const eap = (configuration: JsonObject, keys: JsonObject = {}): JsonObject =>
  wifi({
    EAPClientConfiguration: { AcceptEAPTypes: [25], TLSTrustedServerNames: ['radius'], ...configuration },
    ...keys,
  });
const user = { UserName: 'kim', UserPassword: 'the-user-password' };
const EAP = 'EAPClientConfiguration';

describe('Wi-Fi', () => {
  rows('com.apple.wifi.managed', [
    ['a password', psk({}), []],
    ['a key in hexadecimal', psk({ Password: 'a'.repeat(64) }), []],
    ['no name', { EncryptionType: 'WPA2', Password: 'correct horse' }, ['needed SSID_STR']],
    ['Passpoint in place of a name', { IsHotspot: true, DomainName: 'example.com' }, []],
    ['a name of 33 octets', psk({ SSID_STR: `${'é'.repeat(16)}a` }), ['value SSID_STR']],
    ['a name of 32 octets', psk({ SSID_STR: 'é'.repeat(16) }), []],
    ['a short password', psk({ Password: 'seven77' }), ['value Password']],
    ['a long password', psk({ Password: 'x'.repeat(64) }), ['value Password']],
    ['any password of WPA3', psk({ EncryptionType: 'WPA3', Password: 'pässword' }), []],
    ['an empty password of WPA3', psk({ EncryptionType: 'WPA3', Password: '' }), ['value Password']],
    ['no password', wifi({}), ['unattended Password']],
    ['an open network', wifi({ EncryptionType: 'None' }), [], ['weak EncryptionType']],
    [
      'a password on an open network',
      psk({ EncryptionType: 'None' }),
      ['conflict Password'],
      ['weak EncryptionType'],
    ],
    ['WEP', psk({ EncryptionType: 'WEP', Password: 'abcde' }), [], ['weak EncryptionType']],
    [
      'a WEP key of 6 characters',
      psk({ EncryptionType: 'WEP', Password: 'abcdef' }),
      ['value Password'],
      ['weak EncryptionType'],
    ],
    ['any encryption and no password', wifi({ EncryptionType: 'Any' }), []],
    [
      'any encryption and a bad password',
      psk({ EncryptionType: 'Any', Password: 'abcdef' }),
      ['value Password'],
    ],
    ['an identity and no EAP', psk({ PayloadCertificateUUID: 'identity' }), [`needed ${EAP}`]],
    ['PEAP', eap(user), []],
    ['a password beside EAP', eap(user, { Password: 'correct horse' }), ['conflict Password']],
    [
      'EAP on an open network',
      eap(user, { EncryptionType: 'None' }),
      ['conflict EncryptionType'],
      ['weak EncryptionType'],
    ],
    ['no EAP type', eap({ AcceptEAPTypes: [] }), [`count ${EAP}.AcceptEAPTypes`]],
    ['EAP-TLS without identity', eap({ AcceptEAPTypes: [13] }), ['needed PayloadCertificateUUID']],
    ['EAP-TLS', eap({ AcceptEAPTypes: [13] }, { PayloadCertificateUUID: 'identity' }), []],
    [
      'PEAP that shows an identity and has none',
      eap({ ...user, TLSCertificateIsRequired: true }),
      ['needed PayloadCertificateUUID'],
    ],
    ['PEAP without user', eap({}), [`unattended ${EAP}.UserName`, `unattended ${EAP}.UserPassword`]],
    ['a password of nobody', eap({ UserPassword: 'the-user-password' }), [`needed ${EAP}.UserName`]],
    [
      'a password used once',
      eap({ ...user, OneTimeUserPassword: true }),
      [`unattended ${EAP}.OneTimeUserPassword`],
    ],
    [
      'an unknown server',
      eap({ ...user, TLSTrustedServerNames: [] }),
      [],
      [`server-trust ${EAP}.TLSTrustedServerNames`],
    ],
    [
      'a server name with a space',
      eap({ ...user, TLSTrustedServerNames: ['a b'] }),
      [`value ${EAP}.TLSTrustedServerNames[0]`],
    ],
    [
      'TLS from 1.3 to 1.2',
      eap({ ...user, TLSMinimumVersion: '1.3' }),
      [`conflict ${EAP}.TLSMaximumVersion`],
    ],
    [
      'an inner method and no TTLS',
      eap({ ...user, TTLSInnerAuthentication: 'PAP' }),
      [],
      [`ignored ${EAP}.TTLSInnerAuthentication`],
    ],
    [
      'an outer identity and no tunnel',
      eap({ AcceptEAPTypes: [13], OuterIdentity: 'a' }, { PayloadCertificateUUID: 'identity' }),
      [],
      [`ignored ${EAP}.OuterIdentity`],
    ],
    ['half a proxy', psk({ ProxyType: 'Manual', ProxyServer: 'proxy' }), ['needed ProxyServerPort']],
    [
      'a proxy and no type',
      psk({ ProxyServer: 'proxy', ProxyServerPort: 1 }),
      ['conflict ProxyServer', 'conflict ProxyServerPort'],
    ],
    [
      'a proxy password of nobody',
      psk({ ProxyType: 'Manual', ProxyServer: 'p', ProxyServerPort: 1, ProxyPassword: 'x' }),
      ['needed ProxyUsername'],
    ],
    ['a script that is no URL', psk({ ProxyType: 'Auto', ProxyPACURL: 'proxy.pac' }), ['value ProxyPACURL']],
    [
      'a script',
      psk({ ProxyType: 'Auto', ProxyPACURL: 'http://proxy/pac', ProxyPACFallbackAllowed: true }),
      [],
    ],
  ]);

  it('asks nobody on a watch, and may ask on an iPhone', async () => {
    const type = 'com.apple.wifi.managed';
    expect(await judged(type, wifi({}), 'iOS')).toEqual({ problems: [], warnings: [] });
    expect(await judged(type, wifi({}))).toEqual({
      problems: [],
      warnings: ['unattended Password on watchOS'],
    });
  });
});

describe('Cellular', () => {
  rows('com.apple.cellular', [
    ['an APN', { APNs: [{ Name: 'internet' }] }, []],
    ['nothing', {}, ['needed APNs']],
    ['an empty name', { AttachAPN: { Name: '' } }, ['value AttachAPN.Name']],
    ['a password of nobody', { APNs: [{ Name: 'a', Password: 'x' }] }, ['needed APNs[0].Username']],
    ['a port of no proxy', { APNs: [{ Name: 'a', ProxyPort: 1 }] }, ['needed APNs[0].ProxyServer']],
    ['a proxy without port', { APNs: [{ Name: 'a', ProxyServer: 'p' }] }, ['range APNs[0].ProxyPort']],
    [
      'an unknown protocol',
      { AttachAPN: { Name: 'a', AllowedProtocolMask: 4 } },
      ['values AttachAPN.AllowedProtocolMask'],
    ],
  ]);
});

const ike = (settings: JsonObject, keys: JsonObject = {}): JsonObject => ({
  UserDefinedName: 'VPN',
  VPNType: 'IKEv2',
  IKEv2: {
    ...{ RemoteAddress: 'vpn.example.com', RemoteIdentifier: 'vpn', LocalIdentifier: 'me' },
    ...{ AuthenticationMethod: 'Certificate', PayloadCertificateUUID: 'identity', ...settings },
  },
  ...keys,
});

describe('Per-app VPN', () => {
  const type = 'com.apple.vpn.managed.applayer';
  const shared = { AuthenticationMethod: 'SharedSecret', SharedSecret: 'the-secret' };
  const weak = { EncryptionAlgorithm: '3DES', IntegrityAlgorithm: 'SHA1-96', DiffieHellmanGroup: 2 };
  rows(type, [
    ['a certificate', ike({}), []],
    ['no settings', { UserDefinedName: 'VPN', VPNType: 'IKEv2' }, ['needed IKEv2']],
    [
      'no name',
      { VPNType: 'IKEv2', IKEv2: {} },
      [
        ...['AuthenticationMethod', 'RemoteIdentifier', 'LocalIdentifier', 'RemoteAddress'].map(
          (key) => `required IKEv2.${key}`,
        ),
        'required UserDefinedName',
      ],
    ],
    ['another type', ike({}, { VPNType: 'TransparentProxy' }), ['platform VPNType']],
    ['an empty VPNUUID', ike({}, { VPNUUID: '' }), ['value VPNUUID']],
    [
      'no certificate',
      ike({ AuthenticationMethod: 'Certificate', PayloadCertificateUUID: 'nobody' }),
      ['reference IKEv2.PayloadCertificateUUID'],
    ],
    ['a shared secret', ike({ ...shared }), []],
    ['no shared secret', ike({ AuthenticationMethod: 'SharedSecret' }), ['needed IKEv2.SharedSecret']],
    [
      'a secret that is not asked for',
      ike({ SharedSecret: 'the-secret' }),
      [],
      ['ignored IKEv2.SharedSecret'],
    ],
    ['no authentication', ike({ AuthenticationMethod: 'None' }), ['needed IKEv2.ExtendedAuthEnabled']],
    ['15 idle seconds', ike({ DisconnectOnIdle: 1, DisconnectOnIdleTimer: 15 }), []],
    [
      '16 idle seconds',
      ike({ DisconnectOnIdle: 1, DisconnectOnIdleTimer: 16 }),
      ['range IKEv2.DisconnectOnIdleTimer'],
    ],
    [
      'no idle second',
      ike({ DisconnectOnIdle: 1, DisconnectOnIdleTimer: 0 }),
      ['range IKEv2.DisconnectOnIdleTimer'],
    ],
    ['a timer that is off', ike({ DisconnectOnIdleTimer: 5 }), [], ['ignored IKEv2.DisconnectOnIdleTimer']],
    [
      'Connect on demand',
      ike({ OnDemandRules: [{ Action: 'Disconnect' }, { Action: 'Connect' }] }),
      ['values IKEv2.OnDemandRules[1].Action'],
    ],
    [
      'keys that a watch lacks',
      ike({ EnableFallback: 1, DeadPeerDetectionRate: 'Low' }, { SafariDomains: ['a'] }),
      ['platform IKEv2.EnableFallback', 'platform IKEv2.DeadPeerDetectionRate', 'platform SafariDomains'],
    ],
    [
      'old algorithms',
      ike({ ChildSecurityAssociationParameters: weak }),
      [],
      [
        'weak IKEv2.ChildSecurityAssociationParameters.EncryptionAlgorithm',
        'weak IKEv2.ChildSecurityAssociationParameters.IntegrityAlgorithm',
        'weak IKEv2.ChildSecurityAssociationParameters.DiffieHellmanGroup',
      ],
    ],
    [
      'TLS from 1.2 to 1.1',
      ike({ TLSMinimumVersion: '1.2', TLSMaximumVersion: '1.1' }),
      ['conflict IKEv2.TLSMaximumVersion'],
    ],
  ]);

  it('needs a certificate where it says so', async () => {
    const keys = ike({ AuthenticationMethod: 'Certificate' });
    delete (keys['IKEv2'] as JsonObject)['PayloadCertificateUUID'];
    expect((await judged(type, keys)).problems).toEqual(['needed IKEv2.PayloadCertificateUUID']);
  });

  it('needs a user of a watch, whom nobody asks', async () => {
    const keys = ike({ ...shared, ExtendedAuthEnabled: 1 });
    delete (keys['IKEv2'] as JsonObject)['PayloadCertificateUUID'];
    const missing = ['unattended IKEv2.AuthName', 'unattended IKEv2.AuthPassword'];
    expect((await judged(type, keys, 'watchOS')).problems).toEqual(missing);
    expect(await judged(type, keys, 'iOS')).toEqual({ problems: [], warnings: [] });
  });

  it('leaves to an iPhone what only a watch lacks', async () => {
    const keys = ike(
      { DisconnectOnIdle: 1, DisconnectOnIdleTimer: 60, OnDemandRules: [{ Action: 'Connect' }] },
      { SafariDomains: ['example.com'] },
    );
    expect(await judged(type, keys, 'iOS')).toEqual({ problems: [], warnings: [] });
    expect((await judged(type, keys)).warnings).toEqual([
      'platform SafariDomains on watchOS',
      'range IKEv2.DisconnectOnIdleTimer on watchOS',
      'values IKEv2.OnDemandRules[0].Action on watchOS',
    ]);
  });

  it('is the VPN of a watch: the other is refused, and an Always On one warned of', async () => {
    const whole = 'com.apple.vpn.managed';
    expect((await judged(whole, ike({}), 'watchOS')).problems).toEqual(['platform payloads[1].type']);
    const always = {
      UserDefinedName: 'VPN',
      VPNType: 'AlwaysOn',
      AlwaysOn: { TunnelConfigurations: [{ ProtocolType: 'IKEv2' }] },
    };
    expect(await judged(whole, always, 'iOS')).toEqual({
      problems: [],
      warnings: ['always-on-vpn VPNType'],
    });
    const custom = { UserDefinedName: 'VPN', VPNType: 'VPN', VPN: {} };
    expect((await judged(whole, custom, 'iOS')).problems).toEqual(['needed VPNSubType']);
    const evaluate = ike({ OnDemandRules: [{ Action: 'EvaluateConnection' }] });
    expect((await judged(whole, evaluate, 'iOS')).problems).toEqual([
      'needed IKEv2.OnDemandRules[0].ActionParameters',
    ]);
  });
});

describe('SCEP', () => {
  const scep = (keys: JsonObject): JsonObject => ({ PayloadContent: { ...request, ...keys } });
  rows(SCEP, [
    ['the least', scep({}), []],
    ['no URL', scep({ URL: 'scep.example.com' }), ['format PayloadContent.URL']],
    ['a key of another type', scep({ 'Key Type': 'EC' }), ['values PayloadContent.Key Type']],
    ['a usage that is none', scep({ 'Key Usage': 3 }), ['values PayloadContent.Key Usage']],
    ['a short key', scep({ Keysize: 1024 }), [], ['weak PayloadContent.Keysize']],
    ['a size that is none', scep({ Keysize: 3072 }), ['values PayloadContent.Keysize']],
    ['a negative delay', scep({ RetryDelay: -1 }), ['range PayloadContent.RetryDelay']],
    [
      'a subject of no attribute',
      scep({
        Subject: [
          [['CN', 'a']],
          [
            ['2.5.4', 'b'],
            ['common name', 'c'],
          ],
        ],
      }),
      ['format PayloadContent.Subject[1][1][0]'],
    ],
    [
      'a subject of three words',
      scep({ Subject: [[['CN', 'a', 'b']]] }),
      ['count PayloadContent.Subject[0][0]'],
    ],
  ]);
});

describe('ACME', () => {
  const acme = (keys: JsonObject): JsonObject => ({
    ...{ DirectoryURL: 'https://acme.example.com/directory', ClientIdentifier: 'client', Subject: [] },
    ...{ KeyType: 'ECSECPrimeRandom', KeySize: 256, HardwareBound: false, ...keys },
  });
  const rsa = (keys: JsonObject) => acme({ KeyType: 'RSA', KeySize: 2048, ...keys });
  rows('com.apple.security.acme', [
    ['an EC key', acme({}), []],
    ['an EC key of 521 bits', acme({ KeySize: 521 }), []],
    ['an EC key of 512 bits', acme({ KeySize: 512 }), ['values KeySize']],
    ['an EC key of 192 bits', acme({ KeySize: 192 }), [], ['weak KeySize']],
    ['a key in hardware', acme({ HardwareBound: true, KeySize: 384, Attest: true }), []],
    ['521 bits in hardware', acme({ HardwareBound: true, KeySize: 521 }), ['values KeySize']],
    ['attestation of software', acme({ Attest: true }), ['values Attest']],
    ['RSA', rsa({}), []],
    ['RSA in hardware', rsa({ HardwareBound: true }), ['values HardwareBound']],
    ['RSA of 2052 bits', rsa({ KeySize: 2052 }), ['range KeySize']],
    ['RSA of 4104 bits', rsa({ KeySize: 4104 }), ['range KeySize']],
    ['RSA of 1024 bits', rsa({ KeySize: 1024 }), [], ['weak KeySize']],
    ['no TLS', acme({ DirectoryURL: 'http://acme.example.com' }), ['format DirectoryURL']],
    ['a usage that is none', acme({ UsageFlags: 2 }), ['values UsageFlags']],
    ['a purpose that is no OID', acme({ ExtendedKeyUsage: ['clientAuth'] }), ['format ExtendedKeyUsage[0]']],
    [
      'no subject',
      (({ Subject: _, ...rest }) => rest)(acme({}) as { Subject: JsonObject }),
      ['required Subject'],
    ],
  ]);
});

describe('a passcode policy', () => {
  const type = 'com.apple.mobiledevice.passwordpolicy';
  rows(type, [
    ['rules', { forcePIN: true, minLength: 6 }, []],
    ['no rule', {}, ['needed ']],
    ['rules for a passcode that nobody must have', { minLength: 6 }, [], ['ignored forcePIN']],
    [
      'what a watch lacks',
      { forcePIN: true, minComplexChars: 1, requireAlphanumeric: true },
      ['platform minComplexChars', 'platform requireAlphanumeric'],
    ],
    ['a length that is none', { forcePIN: true, minLength: 17 }, ['range minLength']],
  ]);

  it('of an iPhone reaches its watch', async () => {
    const { problems, warnings } = await judged(type, { forcePIN: true, requireAlphanumeric: true }, 'iOS');
    expect(problems).toEqual([]);
    expect(warnings).toEqual(['mirrored forcePIN on iOS', 'mirrored requireAlphanumeric on iOS']);
  });
});

describe('restrictions', () => {
  const type = 'com.apple.applicationaccess';
  rows(type, [
    ['one of the watch', { allowScreenShot: false }, []],
    ['none', {}, ['needed ']],
    ['one of the iPhone', { allowCamera: false }, ['platform allowCamera']],
    ['one of nobody', { allowEverything: true }, ['unknown-key allowEverything']],
    [
      'one that is going',
      { allowAssistantWhileLocked: false },
      [],
      ['deprecated allowAssistantWhileLocked on watchOS'],
    ],
  ]);

  it('name the platform that lacks one, where both are meant', async () => {
    const warnings = ['platform allowCamera on watchOS'];
    expect(await judged(type, { allowCamera: false })).toEqual({ problems: [], warnings });
  });

  it('warn of what ends the pairing', async () => {
    const warnings = ['unpairs-watches allowPairedWatch'];
    expect(await judged(type, { allowPairedWatch: false }, 'iOS')).toEqual({ problems: [], warnings });
    expect(await judged(type, { allowPairedWatch: true }, 'iOS')).toEqual({ problems: [], warnings: [] });
  });
});
