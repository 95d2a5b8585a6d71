/** Answers as devices give them, and as none should: what becomes of each in the inventory. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { readInventory, SECTION_BYTES_MAX } from '../../../src/domain/inventory/read.ts';
import { sha256Hex } from '../../../src/pki/digest.ts';
import { encodePlist, type PlistInputDict } from '../../../src/protocol/plist/encode.ts';
import { fromBase64, utf8 } from '../../../src/std/bytes.ts';

const read = (requestType: string, answer: PlistInputDict) => readInventory(requestType, encodePlist(answer));

async function items(requestType: string, answer: PlistInputDict) {
  const found = await read(requestType, answer);
  return found?.items == null ? found : Object.fromEntries(found.items);
}

/** The DER of the authority that signs the simulated devices. */
const der = fromBase64(env.TEST_DEVICE_CA.certificate.replace(/-----[^-]+-----|\s/g, '')) ?? utf8('');

describe('an answer', () => {
  it('becomes items by the key that names them', async () => {
    const named = (key: string) => [
      { [key]: 'b', Name: 'B' },
      { [key]: 'a', Name: 'A' },
    ];
    const byKey = (key: string) => ({ a: { [key]: 'a', Name: 'A' }, b: { [key]: 'b', Name: 'B' } });
    for (const [requestType, list, key] of [
      ['ProfileList', 'ProfileList', 'PayloadIdentifier'],
      ['ProvisioningProfileList', 'ProvisioningProfileList', 'UUID'],
      ['InstalledApplicationList', 'InstalledApplicationList', 'Identifier'],
      ['ManagedApplicationAttributes', 'ApplicationAttributes', 'Identifier'],
    ] as const) {
      expect(await items(requestType, { [list]: named(key) }), requestType).toEqual(byKey(key));
      expect(await items(requestType, { [list]: [] }), requestType).toEqual({});
    }
    expect(await items('SecurityInfo', { SecurityInfo: { PasscodePresent: true } })).toEqual({
      PasscodePresent: true,
    });
    const restrictions = { GlobalRestrictions: { restrictedBool: {} }, Status: 'Acknowledged' };
    expect(await items('Restrictions', restrictions)).toEqual({ GlobalRestrictions: { restrictedBool: {} } });
  });

  it('of the wrong form teaches nothing', async () => {
    for (const requestType of [
      'DeviceInformation',
      'SecurityInfo',
      'ProfileList',
      'CertificateList',
      'ManagedApplicationList',
      'Restrictions',
    ]) {
      expect(await read(requestType, { Status: 'Acknowledged' }), requestType).toBeNull();
      const wrong = { SecurityInfo: [], QueryResponses: '', ProfileList: {}, CertificateList: true };
      expect(await read(requestType, { ...wrong, ManagedApplicationList: [] }), requestType).toBeNull();
      expect(await readInventory(requestType, utf8('<plist>')), requestType).toBeNull();
      expect(await readInventory(requestType, encodePlist([])), requestType).toBeNull();
    }
    expect(await read('Settings', { Settings: [] })).toBeNull();
  });

  it('leaves out items without a key, and keeps the others', async () => {
    const list = [{ Name: 'nameless' }, 'text', { Identifier: '' }, { Identifier: 1 }, { Identifier: 'a' }];
    expect(await items('InstalledApplicationList', { InstalledApplicationList: list })).toEqual({
      a: { Identifier: 'a' },
    });
  });

  it('of more than a section holds says so', async () => {
    const answer = (bytes: number) => ({ SecurityInfo: { text: 'x'.repeat(bytes) } });
    expect((await read('SecurityInfo', answer(SECTION_BYTES_MAX)))?.items).toBeNull();
    expect((await read('SecurityInfo', answer(SECTION_BYTES_MAX - 100)))?.items).not.toBeNull();
  });
});

describe('what is kept back', () => {
  it('is data, but for its size and digest', async () => {
    const data = utf8('confidential');
    const QueryResponses = { Blob: data, Deep: { list: [data] }, DevicePropertiesAttestation: [data] };
    const described = { bytes: data.length, sha256: await sha256Hex(data) };
    expect(await items('DeviceInformation', { QueryResponses })).toEqual({
      Blob: described,
      Deep: { list: [described] },
    });
  });

  it('is a redemption code, and the configuration of an application', async () => {
    const ManagedApplicationList = { a: { Status: 'Managed', UnusedRedemptionCode: 'CODE' } };
    expect(await items('ManagedApplicationList', { ManagedApplicationList })).toEqual({
      a: { Status: 'Managed' },
    });
    const ApplicationConfigurations = [
      { Identifier: 'a', Configuration: { key: 'value' } },
      { Identifier: 'b', Configuration: {} },
      { Identifier: 'c' },
    ];
    expect(await items('ManagedApplicationConfiguration', { ApplicationConfigurations })).toEqual({
      a: { HasConfiguration: true },
      b: { HasConfiguration: false },
      c: { HasConfiguration: false },
    });
  });
});

describe('a certificate', () => {
  it('is told by what it says of itself', async () => {
    const CertificateList = [{ CommonName: 'an authority', IsIdentity: false, Data: der }];
    const digest = await sha256Hex(der);
    expect(await items('CertificateList', { CertificateList })).toEqual({
      [digest]: {
        commonName: 'an authority',
        isIdentity: false,
        readable: true,
        subject: expect.stringMatching(/CN=.+/),
        issuer: expect.stringMatching(/CN=.+/),
        serialNumber: expect.stringMatching(/^[0-9a-f]+$/),
        notBefore: expect.stringMatching(/Z$/),
        notAfter: expect.stringMatching(/Z$/),
      },
    });
  });

  it('that cannot be read is told by its name, and one without data not at all', async () => {
    const [broken, large] = [der.slice(0, -1), new Uint8Array(20_000)];
    const CertificateList = [
      { CommonName: 'broken', IsIdentity: true, Data: broken },
      { IsIdentity: 'yes', Data: large },
      { CommonName: 'nothing', IsIdentity: true },
      'text',
    ];
    expect(await items('CertificateList', { CertificateList })).toEqual({
      [await sha256Hex(broken)]: { commonName: 'broken', isIdentity: true, readable: false },
      [await sha256Hex(large)]: { commonName: null, isIdentity: false, readable: false },
    });
  });
});
