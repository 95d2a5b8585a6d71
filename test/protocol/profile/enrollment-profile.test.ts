/** The profile of a watch and of an iPhone, payload by payload. */
import { describe, expect, it } from 'vitest';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import type { PlistDict, PlistValue } from '../../../src/protocol/plist/value.ts';
import {
  buildEnrollmentProfile,
  type EnrollmentProfile,
} from '../../../src/protocol/profile/enrollment-profile.ts';
import { Fault } from '../../../src/std/outcome.ts';

const watch: EnrollmentProfile = {
  platform: 'watchOS',
  organization: 'Ärzte & Co <Berlin>',
  topic: 'com.apple.mgmt.External.6c0b7c53-3e0b-4e3d-9e0e-0d3a6a1f5e11',
  serverUrl: 'https://mdm.example/mdm/connect',
  checkInUrl: 'https://mdm.example/mdm/checkin',
  scep: {
    url: 'https://mdm.example/scep',
    challenge: 'one-time',
    subject: { udid: '00008301-000123456789ABCD' },
  },
  caCertificateDer: new Uint8Array([0x30, 0x03, 1, 2, 3]),
  uuids: { profile: 'U-PROFILE', ca: 'U-CA', scep: 'U-SCEP', mdm: 'U-MDM' },
};

function read(profile: EnrollmentProfile) {
  const parsed = parsePlist(buildEnrollmentProfile(profile));
  if (!parsed.ok) throw new Error(parsed.refusal.reason);
  const top = parsed.value as PlistDict;
  const payloads = top.get('PayloadContent') as PlistDict[];
  return {
    top,
    ca: payloads[0] as PlistDict,
    scep: payloads[1] as PlistDict,
    mdm: payloads[2] as PlistDict,
    payloads,
  };
}

describe('buildEnrollmentProfile', () => {
  it('puts the CA first, then the identity, then management', () => {
    const { payloads } = read(watch);
    expect(payloads.map((payload) => payload.get('PayloadType'))).toEqual([
      'com.apple.security.root',
      'com.apple.security.scep',
      'com.apple.mdm',
    ]);
  });

  it('gives every payload the common keys, its own UUID and identifier, and the organization', () => {
    const { top, payloads } = read(watch);
    for (const payload of [top, ...payloads]) {
      expect(payload.get('PayloadVersion')).toBe(1);
      expect(payload.get('PayloadOrganization')).toBe('Ärzte & Co <Berlin>');
      expect(payload.get('PayloadDisplayName')).toContain('Ärzte & Co <Berlin>');
    }
    expect([top, ...payloads].map((payload) => payload.get('PayloadUUID'))).toEqual([
      'U-PROFILE',
      'U-CA',
      'U-SCEP',
      'U-MDM',
    ]);
    expect([top, ...payloads].map((payload) => payload.get('PayloadIdentifier'))).toEqual([
      'com.escapement.enrollment',
      'com.escapement.enrollment.ca',
      'com.escapement.enrollment.scep',
      'com.escapement.enrollment.mdm',
    ]);
    expect(read({ ...watch, identifier: 'org.example' }).mdm.get('PayloadIdentifier')).toBe(
      'org.example.mdm',
    );
  });

  it('is for a watch alone, with nothing watchOS does not know', () => {
    const { top, mdm } = read(watch);
    expect(top.get('PayloadType')).toBe('Configuration');
    expect(top.get('TargetDeviceType')).toBe(2);
    for (const key of ['PayloadRemovalDisallowed', 'PayloadExpirationDate']) expect(top.has(key)).toBe(false);
    for (const key of ['AssignedManagedAppleID', 'EnrollmentMode', 'RequiredAppIDForMDM', 'ManagedAppleID']) {
      expect(mdm.has(key)).toBe(false);
    }
    expect(mdm.has('ServerCapabilities')).toBe(false);
  });

  it('lets an iPhone fetch pairing tokens and bootstrap tokens', () => {
    const { top, mdm } = read({ ...watch, platform: 'iOS' });
    expect(top.has('TargetDeviceType')).toBe(false);
    expect(mdm.get('ServerCapabilities')).toEqual(['com.apple.mdm.token', 'com.apple.mdm.bootstraptoken']);
  });

  it('carries the CA certificate as it is', () => {
    expect(read(watch).ca.get('PayloadContent')).toEqual(watch.caCertificateDer);
  });

  it('asks for an RSA-2048 identity that signs and encrypts, under the one-time challenge', () => {
    expect(read(watch).scep.get('PayloadContent')).toEqual(
      new Map<string, PlistValue>([
        ['URL', 'https://mdm.example/scep'],
        ['Subject', [[['CN', '00008301-000123456789ABCD']], [['O', 'Ärzte & Co <Berlin>']]]],
        ['Challenge', 'one-time'],
        ['Keysize', 2048],
        ['Key Type', 'RSA'],
        ['Key Usage', 5],
        ['Retries', 3],
        ['RetryDelay', 10],
        ['KeyIsExtractable', false],
      ]),
    );
  });

  it('carries a CA fingerprint when given one', () => {
    const caFingerprint = new Uint8Array(20).fill(3);
    const { scep } = read({ ...watch, scep: { ...watch.scep, caFingerprint } });
    expect((scep.get('PayloadContent') as PlistDict).get('CAFingerprint')).toEqual(caFingerprint);
  });

  it('ties management to that identity, signed messages and both URLs', () => {
    const { mdm } = read(watch);
    expect(mdm.get('IdentityCertificateUUID')).toBe('U-SCEP');
    expect(mdm.get('Topic')).toBe(watch.topic);
    expect(mdm.get('ServerURL')).toBe(watch.serverUrl);
    expect(mdm.get('CheckInURL')).toBe(watch.checkInUrl);
    expect(mdm.get('SignMessage')).toBe(true);
    expect(mdm.get('CheckOutWhenRemoved')).toBe(true);
    expect(mdm.get('AccessRights')).toBe(8191);
  });

  it('takes fewer access rights, and throws a fault at those that cannot stand', () => {
    expect(read({ ...watch, accessRights: 1 | 16 }).mdm.get('AccessRights')).toBe(17);
    expect(read({ ...watch, accessRights: 1 | 2 | 64 | 128 }).mdm.get('AccessRights')).toBe(195);
    for (const accessRights of [0, -1, 2, 128, 8192, 1.5, Number.NaN]) {
      expect(() => buildEnrollmentProfile({ ...watch, accessRights })).toThrow(Fault);
    }
  });
});
