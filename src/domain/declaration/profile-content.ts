/**
 * A configuration profile as an administrator uploads it for `com.apple.configuration.legacy`, checked against the
 * catalog. Its bytes are kept as they came: a signature around them is the signer's, and the device judges it. A
 * profile that would manage the device, or replace the one that does, is refused: applied or removed with a
 * declaration it could end the enrollment, which erases a watch. Encrypted profiles cannot be read here and are refused.
 */
import { parseSignedData } from '../../pki/cms-signed.ts';
import { type ContentProblem, type InvalidContent, validate } from '../../protocol/catalog/validate.ts';
import { type JsonObject, type JsonValue, plistToJson } from '../../protocol/plist/json.ts';
import { isBinaryPlist, parsePlistDict } from '../../protocol/plist/parse.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
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
const MANAGEMENT = 'com.apple.mdm';

export async function readProfile(
  bytes: Bytes,
  { allowUnknown, isEnrollmentProfile }: ProfileOptions,
): Promise<Outcome<ProfileDetails, ProfileRefusal>> {
  const parsed = parseProfile(bytes);
  if (!parsed.ok) return parsed;
  const profile = parsed.value;
  if (managesDevice(profile, isEnrollmentProfile)) return refuse({ kind: 'enrollment-profile' });
  // Beside payloads that can be read as well: what is in it could manage the device.
  if (profile['IsEncrypted'] === true || profile['EncryptedPayloadContent'] !== undefined)
    return malformed('encrypted: send it as it was before');
  const problems = await problemsOf(profile, allowUnknown);
  if (problems.length > 0) return refuse({ kind: 'invalid-content', problems });
  const payloads = profile['PayloadContent'] as readonly JsonObject[];
  const types = payloads.map((payload) => String(payload['PayloadType']));
  const name = profile['PayloadDisplayName'];
  return ok({
    payloadIdentifier: String(profile['PayloadIdentifier']),
    payloadUuid: String(profile['PayloadUUID']),
    displayName: typeof name === 'string' ? name : null,
    payloadTypes: [...new Set(types)],
    signed: bytes[0] === SEQUENCE,
  });
}

/** What is in it, unchecked. */
export function parseProfile(bytes: Bytes): Outcome<JsonObject, ProfileRefusal> {
  if (bytes.length > UPLOAD_BYTES_MAX)
    return refuse({ kind: 'upload-too-large', bytesMax: UPLOAD_BYTES_MAX });
  const content = bytes[0] === SEQUENCE ? signedContent(bytes) : ok(bytes);
  if (!content.ok) return content;
  if (isBinaryPlist(content.value)) return malformed('a binary property list: send it as XML');
  const plist = parsePlistDict(content.value);
  if (!plist.ok) return malformed(`${plist.refusal.reason}, at ${plist.refusal.offset}`);
  return ok(plistToJson(plist.value) as JsonObject);
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

async function problemsOf(profile: JsonObject, allowUnknown: boolean): Promise<readonly ContentProblem[]> {
  const top = await validate('profile', 'TopLevel', profile, undefined, { allowUnknown });
  if (!top.ok) return top.refusal.problems;
  const payloads = profile['PayloadContent'] as readonly JsonValue[];
  for (const [index, payload] of payloads.entries()) {
    const path = `PayloadContent[${index}]`;
    const members = payload as JsonObject;
    const type = members['PayloadType'];
    if (typeof type !== 'string')
      return [{ path: `${path}.PayloadType`, rule: 'required', expected: 'a key that must be present' }];
    const valid = await validate('profile', type, members, undefined, { allowUnknown });
    if (!valid.ok)
      return valid.refusal.problems.map((problem) => ({ ...problem, path: `${path}.${problem.path}` }));
  }
  return [];
}

function malformed(reason: string) {
  return refuse<ProfileRefusal>({ kind: 'malformed-profile', reason });
}
