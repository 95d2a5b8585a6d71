/**
 * A configuration profile as an administrator uploads it for `com.apple.configuration.legacy`, checked against the
 * catalog. Its bytes are kept as they came, XML or binary: a signature around them is the signer's, and the device
 * judges it. A profile that would manage the device, or replace the one that does, is refused: applied or removed with a
 * declaration it could end the enrollment, which erases a watch. Encrypted profiles cannot be read here and are refused.
 */
import { parseSignedData } from '../../pki/cms-signed.ts';
import type { InvalidContent } from '../../protocol/catalog/validate.ts';
import { type JsonObject, plistToJson } from '../../protocol/plist/json.ts';
import { parsePlistDict } from '../../protocol/plist/parse.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { profileProblems } from '../profile/judge.ts';
import { UPLOAD_BYTES_MAX, type UploadTooLarge } from './asset-content.ts';

export interface ProfileDetails {
  /** The profile's own `PayloadIdentifier`, which need not be the declaration's. */
  readonly payloadIdentifier: string;
  readonly payloadUuid: string;
  readonly displayName: string | null;
  /** Of what is in it, each once. */
  readonly payloadTypes: readonly string[];
  readonly signed: boolean;
}

export type ProfileRefusal =
  | InvalidContent
  | UploadTooLarge
  | { readonly kind: 'malformed-profile'; readonly reason: string }
  | { readonly kind: 'enrollment-profile' };

export interface ProfileOptions {
  readonly allowUnknown: boolean;
  /** Whether this `PayloadIdentifier` names the profile that enrolled a device here. */
  readonly isEnrollmentProfile: (identifier: string) => boolean;
}

/** Only ASN.1 begins so: an XML document begins with `<`, white space or a byte order mark. */
const SEQUENCE = 0x30;
/** What signing may add to a profile that was of the greatest size without: three certificates and a signature. */
const SIGNATURE_BYTES_MAX = 16 * 1024;
const MANAGEMENT = 'com.apple.mdm';

export interface ReadProfile {
  readonly details: ProfileDetails;
  readonly profile: PlistDict;
}

export async function readProfile(
  bytes: Bytes,
  { allowUnknown, isEnrollmentProfile }: ProfileOptions,
): Promise<Outcome<ReadProfile, ProfileRefusal>> {
  const plist = parseProfile(bytes);
  if (!plist.ok) return plist;
  const profile = plistToJson(plist.value) as JsonObject;
  if (managesDevice(profile, isEnrollmentProfile)) return refuse({ kind: 'enrollment-profile' });
  // Beside payloads that can be read as well: what is in it could manage the device.
  if (profile['IsEncrypted'] === true || profile['EncryptedPayloadContent'] !== undefined)
    return malformed('encrypted: send it as it was before');
  const problems = await profileProblems(profile, allowUnknown);
  if (problems.length > 0) return refuse({ kind: 'invalid-content', problems });
  const payloads = profile['PayloadContent'] as readonly JsonObject[];
  const types = payloads.map((payload) => String(payload['PayloadType']));
  const name = profile['PayloadDisplayName'];
  const details: ProfileDetails = {
    payloadIdentifier: String(profile['PayloadIdentifier']),
    payloadUuid: String(profile['PayloadUUID']),
    displayName: typeof name === 'string' ? name : null,
    payloadTypes: [...new Set(types)],
    signed: isSigned(bytes),
  };
  return ok({ details, profile: plist.value });
}

/** What is in it, out of its signature if it has one, and unchecked. */
export function parseProfile(bytes: Bytes): Outcome<PlistDict, ProfileRefusal> {
  const bytesMax = UPLOAD_BYTES_MAX + (isSigned(bytes) ? SIGNATURE_BYTES_MAX : 0);
  if (bytes.length > bytesMax) return refuse({ kind: 'upload-too-large', bytesMax });
  const content = isSigned(bytes) ? signedContent(bytes) : ok(bytes);
  if (!content.ok) return content;
  const plist = parsePlistDict(content.value);
  return plist.ok ? plist : malformed(`${plist.refusal.reason}, at ${plist.refusal.offset}`);
}

/** Whether it is a profile that would manage the device, or replace the one that does. */
export function isManagementProfile(
  bytes: Bytes,
  isEnrollmentProfile: (identifier: string) => boolean,
): boolean {
  const plist = parseProfile(bytes);
  return plist.ok && managesDevice(plistToJson(plist.value) as JsonObject, isEnrollmentProfile);
}

/** From the stored details. What was stored before this was asked is signed: whoever wants it as it is says so. */
export function signedOnDelivery({ signed, sign }: JsonObject): boolean {
  return signed !== true && sign !== false;
}

function isSigned(bytes: Bytes): boolean {
  return bytes[0] === SEQUENCE;
}

function managesDevice(profile: JsonObject, isEnrollmentProfile: (identifier: string) => boolean): boolean {
  const { PayloadIdentifier: identifier, PayloadContent: payloads } = profile;
  if (typeof identifier === 'string' && isEnrollmentProfile(identifier)) return true;
  if (!Array.isArray(payloads)) return false;
  return payloads.some((payload) => (payload as JsonObject | null)?.['PayloadType'] === MANAGEMENT);
}

function signedContent(bytes: Bytes): Outcome<Bytes, ProfileRefusal> {
  const cms = parseSignedData(bytes);
  if (!cms.ok) {
    const reason = 'reason' in cms.refusal ? cms.refusal.reason : cms.refusal.kind;
    return malformed(`signed, and its CMS is not readable: ${reason}`);
  }
  const { content } = cms.value;
  return content === null ? malformed('signed, and without its content') : ok(content);
}

function malformed(reason: string) {
  return refuse<ProfileRefusal>({ kind: 'malformed-profile', reason });
}
