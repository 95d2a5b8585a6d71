/**
 * What a device's Error says, as codes: its texts may repeat what is in the profile, and stay in the command's result.
 * Codes are diagnostic and not stable (facts 3).
 */
import { parsePlistDict } from '../../protocol/plist/parse.ts';
import { isDict, RESULT_LIMITS } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { DeviceProfileError } from './device-profile-ports.ts';

/** Apple's are reverse DNS or a class name; anything else is no domain. */
const DOMAIN = /^[A-Za-z0-9._-]{1,64}$/;

/** `raw` is null when the answer could not be read. */
export function deviceErrorOf(status: string, raw: Bytes | null): DeviceProfileError {
  const answer = raw === null ? null : parsePlistDict(raw, RESULT_LIMITS);
  const chain = answer?.ok ? answer.value.get('ErrorChain') : undefined;
  const top = Array.isArray(chain) ? chain[0] : undefined;
  const [domain, code] = isDict(top) ? [top.get('ErrorDomain'), top.get('ErrorCode')] : [];
  return {
    kind: 'device',
    status,
    domain: typeof domain === 'string' && DOMAIN.test(domain) ? domain : null,
    code: typeof code === 'number' ? code : null,
  };
}
