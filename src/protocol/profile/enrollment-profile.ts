/**
 * The enrollment profile of a watch or an iPhone (facts 6; Apple: TopLevel, com.apple.mdm, com.apple.security.scep,
 * com.apple.security.root): our CA certificate, an identity by SCEP, and the MDM payload that uses it. Unsigned XML;
 * signing is the caller's. UUIDs are the caller's as well: nothing here is random.
 */
import type { Platform } from '../../domain/ids.ts';
import type { Bytes } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { ACCESS_RIGHTS_ALL, isAccessRights } from '../mdm/access-rights.ts';
import { encodePlist, type PlistInput } from '../plist/encode.ts';

export interface EnrollmentProfile {
  readonly platform: Platform;
  /** Shown to the person who accepts management. */
  readonly organization: string;
  /** `com.apple.mgmt.…`: the UID in the push certificate's subject. */
  readonly topic: string;
  readonly serverUrl: string;
  readonly checkInUrl: string;
  readonly scep: {
    readonly url: string;
    readonly challenge: string;
    /** Left out when absent: Apple's schema does not say which digest, and GetCACert comes over TLS. */
    readonly caFingerprint?: Bytes;
    readonly subject: { readonly udid: string };
  };
  /** What our server certificate and device certificates chain to. */
  readonly caCertificateDer: Bytes;
  readonly uuids: {
    readonly profile: string;
    readonly ca: string;
    readonly scep: string;
    readonly mdm: string;
  };
  /** Reverse DNS; the same for every profile of a deployment, so that a later one updates the earlier. */
  readonly identifier?: string;
  readonly accessRights?: number;
}

export const ENROLLMENT_PROFILE_CONTENT_TYPE = 'application/x-apple-aspen-config';

/** PayloadIdentifier, unless a deployment names its own: what RemoveProfile unenrolls by. */
export const ENROLLMENT_PROFILE_IDENTIFIER = 'com.escapement.enrollment';
/** TargetDeviceType of Apple Watch. */
const TARGET_WATCH = 2;
/** Facts 19.3: without these two an Apple client asks for RSA-1024 that can only sign. */
const KEY_BITS = 2048;
const KEY_USAGE_SIGN_AND_ENCRYPT = 5;

/** `com.apple.mdm.token` lets an iPhone fetch pairing tokens (facts 0.3); the other its bootstrap token, from iOS 26. */
const PHONE_CAPABILITIES = ['com.apple.mdm.token', 'com.apple.mdm.bootstraptoken'];

export function buildEnrollmentProfile(profile: EnrollmentProfile): Bytes {
  return encodePlist({
    ...payload(profile, 'Configuration', 'profile', ''),
    PayloadDisplayName: `${profile.organization} Device Management`,
    PayloadDescription: `Lets ${profile.organization} manage this device.`,
    TargetDeviceType: profile.platform === 'watchOS' ? TARGET_WATCH : undefined,
    // Certificates install first, so that the SCEP and MDM servers are trusted when their payloads are reached.
    PayloadContent: [caPayload(profile), scepPayload(profile), mdmPayload(profile)],
  });
}

function caPayload(profile: EnrollmentProfile): PlistInput {
  return {
    ...payload(profile, 'com.apple.security.root', 'ca', '.ca'),
    PayloadDisplayName: `${profile.organization} Device CA`,
    PayloadContent: profile.caCertificateDer,
  };
}

function scepPayload(profile: EnrollmentProfile): PlistInput {
  const { url, challenge, caFingerprint, subject } = profile.scep;
  return {
    ...payload(profile, 'com.apple.security.scep', 'scep', '.scep'),
    PayloadDisplayName: `${profile.organization} Device Identity`,
    PayloadContent: {
      URL: url,
      Subject: [[['CN', subject.udid]], [['O', profile.organization]]],
      Challenge: challenge,
      Keysize: KEY_BITS,
      'Key Type': 'RSA',
      'Key Usage': KEY_USAGE_SIGN_AND_ENCRYPT,
      CAFingerprint: caFingerprint,
      Retries: 3,
      RetryDelay: 10,
      KeyIsExtractable: false,
    },
  };
}

function mdmPayload(profile: EnrollmentProfile): PlistInput {
  return {
    ...payload(profile, 'com.apple.mdm', 'mdm', '.mdm'),
    PayloadDisplayName: `${profile.organization} Device Management`,
    IdentityCertificateUUID: profile.uuids.scep,
    Topic: profile.topic,
    ServerURL: profile.serverUrl,
    CheckInURL: profile.checkInUrl,
    AccessRights: accessRights(profile.accessRights ?? ACCESS_RIGHTS_ALL),
    SignMessage: true,
    CheckOutWhenRemoved: true,
    // A watch sends neither GetToken nor GetBootstrapToken (facts 0.8), so it is offered neither.
    ServerCapabilities: profile.platform === 'iOS' ? PHONE_CAPABILITIES : undefined,
  };
}

function payload(
  profile: EnrollmentProfile,
  type: string,
  uuid: keyof EnrollmentProfile['uuids'],
  suffix: string,
) {
  return {
    PayloadType: type,
    PayloadVersion: 1,
    PayloadIdentifier: `${profile.identifier ?? ENROLLMENT_PROFILE_IDENTIFIER}${suffix}`,
    PayloadUUID: profile.uuids[uuid],
    PayloadOrganization: profile.organization,
  };
}

function accessRights(rights: number): number {
  if (isAccessRights(rights)) return rights;
  throw new Fault('access-rights', 'AccessRights has a bit without the bit it needs');
}
