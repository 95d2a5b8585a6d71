/**
 * UDIDs in certificate subjects. Those that we issue name the device twice, as CN and as UID (RFC 4519 §2.39), and
 * the UID is what is read back. What a client asks for is only compared: its request must not name another device.
 */
import { subjectAttributes } from '../../pki/certificate.ts';
import { OID } from '../../pki/oid.ts';
import type { Bytes } from '../../std/bytes.ts';
import { parseUdid, type Udid } from '../ids.ts';

/** The UDID in a subject that this authority wrote. */
export function subjectUdid(subject: Bytes): Udid | null {
  const parsed = parseUdid(subjectAttributes(subject).get(OID.userId));
  return parsed.ok ? parsed.value : null;
}

/** The forms that UDIDs have in the field: 40 hex digits, 8-16, a UUID, 16 hex digits. */
const UDID_FORM =
  /^([0-9A-F]{40}|[0-9A-F]{8}-[0-9A-F]{16}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}|[0-9A-F]{16})$/i;

/**
 * The UDIDs that a requested subject names: its UID, whatever it says, and its CN if that has a UDID's form.
 * Other common names are labels (Apple's default is `com.apple.security.scep.<UUID>`).
 */
export function namedUdids(subject: Bytes): string[] {
  const attributes = subjectAttributes(subject);
  const userId = attributes.get(OID.userId);
  const commonName = attributes.get(OID.commonName);
  const named = userId === undefined ? [] : [userId];
  if (commonName !== undefined && UDID_FORM.test(commonName)) named.push(commonName);
  return named;
}
