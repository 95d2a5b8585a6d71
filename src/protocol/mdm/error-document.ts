/**
 * Error documents that go with a 403 to an enrollment request (facts 2, and 5 step 4). JSON: Apple documents JSON and
 * XML, and JSON is what such documents use in the field. `com.apple.unrecognized.device` is deliberately not here: it
 * makes a device unenroll.
 */
import { type Bytes, utf8 } from '../../std/bytes.ts';

export interface ErrorDocument {
  readonly body: Bytes;
  readonly contentType: 'application/json';
}

/** Tells a watch to fetch a pairing token through its iPhone. Minimal: a watch reads `code` and this one detail. */
export function pairingTokenMissing(securityToken: string): ErrorDocument {
  return document({
    code: 'com.apple.watch.pairing.token.missing',
    description: 'pairing token required',
    details: { 'security-token': securityToken },
  });
}

/**
 * Ends an enrollment: a code that devices do not know fails it. `description` goes to the device's log, `message` to
 * the person in front of it.
 */
export function enrollmentRefused(description: string, message: string): ErrorDocument {
  return document({ code: 'com.escapement.enrollment.refused', description, message });
}

function document(content: Readonly<Record<string, unknown>>): ErrorDocument {
  return { body: utf8(JSON.stringify(content)), contentType: 'application/json' };
}
