/** What an enrollment request is answered with, and what the log says of it. No token and no profile is logged. */
import type { EnrollAnswer } from '../../domain/pairing/service.ts';
import type { Log, LogFields } from '../../log.ts';
import { pairingTokenMissing } from '../../protocol/mdm/error-document.ts';
import { ENROLLMENT_PROFILE_CONTENT_TYPE } from '../../protocol/profile/enrollment-profile.ts';
import type { Bytes } from '../../std/bytes.ts';
import { watchRefusal } from './refusals.ts';

export function profileResponse(profile: Bytes): Response {
  return new Response(profile, { headers: { 'Content-Type': ENROLLMENT_PROFILE_CONTENT_TYPE } });
}

export function watchResponse(answer: EnrollAnswer): Response {
  switch (answer.kind) {
    case 'profile':
      return profileResponse(answer.profile);
    case 'challenge': {
      const { body, contentType } = pairingTokenMissing(answer.securityToken);
      return new Response(body, { status: 403, headers: { 'Content-Type': contentType } });
    }
    case 'refused':
      return watchRefusal(answer.refusal);
    default:
      return answer satisfies never;
  }
}

export function logWatch(log: Log, answer: EnrollAnswer, source: string): void {
  const device = answer.device === null ? {} : { watchUdid: answer.device.udid };
  if (answer.kind !== 'refused') {
    const { pairingId } = answer;
    const because = answer.kind === 'challenge' && answer.because !== null ? { refusal: answer.because } : {};
    log.event('enroll-answered', { step: answer.kind, source, pairingId, ...device, ...because });
    return;
  }
  log.event('enroll-refused', { source, ...device, ...refusalFields(answer.refusal) });
}

export function refusalFields(refusal: { readonly kind: string }): LogFields {
  const facts = Object.entries(refusal).filter(([name]) => name !== 'kind');
  const reason = facts.map(([name, value]) => `${name} ${String(value)}`).join(', ');
  return { refusal: refusal.kind, ...(reason === '' ? {} : { reason }) };
}
