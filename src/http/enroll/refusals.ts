/**
 * Refused enrollment requests, on the wire. Bytes that cannot be read are 400, everything else 403 with a document
 * whose `message` the person holding the device may be shown. To a device a status is an instruction, so there is
 * no 401 here, no `com.apple.unrecognized.device`, and no 404 for a device's request (design section 5).
 */
import type { LinkRefusal } from '../../domain/identity/one-time-link.ts';
import type { PhoneEnrollRefusal } from '../../domain/pairing/phone-enrollment.ts';
import type { EnrollRefusal } from '../../domain/pairing/service.ts';
import { enrollmentRefused } from '../../protocol/mdm/error-document.ts';
import type { BodyRefusal } from '../body.ts';

type WatchRefusal = EnrollRefusal | BodyRefusal;
type PhoneRefusal = PhoneEnrollRefusal | BodyRefusal;

export function watchRefusal(refusal: WatchRefusal): Response {
  switch (refusal.kind) {
    case 'body-too-large':
      return text(413, 'The request is too large.');
    case 'body-unreadable':
      return text(400, 'The request did not arrive whole.');
    case 'machine-info-malformed':
      return text(400, 'This is not a signed MachineInfo.');
    case 'machine-info-unverified':
      return explained(refusal.kind, 'This device could not be identified. Contact your administrator.');
    case 'not-a-watch':
      return explained(refusal.kind, 'Only an Apple Watch can enroll here.');
    case 'phone-not-enrolled':
      return explained(
        refusal.kind,
        'Your iPhone is no longer managed. Enroll it, then pair the watch again.',
      );
    case 'phone-not-assigned':
      return explained(refusal.kind, 'Your iPhone may not add a managed watch. Contact your administrator.');
    case 'phone-unsupervised':
      return explained(refusal.kind, 'Your iPhone must be supervised to add a managed watch.');
    case 'source-rate':
    case 'watch-rate':
    case 'too-many-challenges':
      return explained(refusal.kind, 'This watch was tried too often. Wait an hour, then pair it again.');
    case 'token-malformed':
    case 'token-signature':
    case 'token-issuer':
    case 'token-audience':
    case 'token-expired':
    case 'token-other-watch':
    case 'challenge-unknown':
    case 'challenge-consumed':
    case 'challenge-expired':
    case 'challenge-unclaimed':
    case 'claimed-by-another-phone':
    case 'serial-mismatch':
      return explained(refusal.kind, 'Your iPhone could not vouch for this watch. Start pairing again.');
    default:
      return refusal satisfies never;
  }
}

export function phoneRefusal(refusal: PhoneRefusal): Response {
  switch (refusal.kind) {
    case 'not-a-phone':
      return explained(refusal.kind, 'Only an iPhone can enroll here.');
    case 'serial-not-expected':
      return explained(refusal.kind, 'This iPhone is not expected here. Ask your administrator to add it.');
    case 'serial-bound-to-another-device':
      return explained(
        refusal.kind,
        'Another device has enrolled with this serial number. Ask your administrator to list it again.',
      );
    case 'serial-mismatch':
      return explained(
        refusal.kind,
        'This iPhone is known here by another serial number. Contact your administrator.',
      );
    case 'already-enrolled':
      return explained(
        refusal.kind,
        'This iPhone is enrolled. To admit it anew, ask your administrator to list its serial number again.',
      );
    default:
      return watchRefusal(refusal);
  }
}

/** For people with a browser, and for Apple Configurator, which shows the status. */
export function linkRefusal(refusal: LinkRefusal): Response {
  switch (refusal.kind) {
    case 'link-unknown':
      return text(404, 'There is no such enrollment link. Check that it was copied whole.');
    case 'link-used':
      return text(410, 'This enrollment link was used. Ask your administrator for a new one.');
    case 'link-expired':
      return text(410, 'This enrollment link has expired. Ask your administrator for a new one.');
    default:
      return refusal satisfies never;
  }
}

export function methodNotAllowed(allow: string): Response {
  return new Response('Method not allowed\n', { status: 405, headers: { ...PLAIN, Allow: allow } });
}

const PLAIN = { 'Content-Type': 'text/plain; charset=utf-8' };

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, { status, headers: PLAIN });
}

function explained(kind: (WatchRefusal | PhoneRefusal)['kind'], message: string): Response {
  const { body, contentType } = enrollmentRefused(kind, message);
  return new Response(body, { status: 403, headers: { 'Content-Type': contentType } });
}
