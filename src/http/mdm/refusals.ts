/**
 * From refusal to wire for enrolled devices. A status is an instruction (design section 5): 401 and a 403 with a
 * document can make a phone unenroll, which erases its watch, so a wrong certificate is a bare 403 and nothing
 * here carries a body. 404 makes a device drop a declaration: only for one it is not to hold. The log has the why.
 */
import type { Context } from 'hono';
import type { CheckInServiceRefusal } from '../../domain/enrollment/check-in.ts';
import type { DeviceVerifierRefusal } from '../../domain/identity/device-verifier.ts';
import type { Udid } from '../../domain/ids.ts';
import type { CheckInRefusal } from '../../protocol/mdm/checkin.ts';
import type { ConnectRefusal } from '../../protocol/mdm/connect.ts';
import type { AppEnv } from '../app-env.ts';
import type { BodyRefusal } from '../body.ts';
import type { EdgeRefusal } from '../edge-certificate.ts';

export type DeviceEdgeRefusal =
  | BodyRefusal
  | DeviceVerifierRefusal
  | EdgeRefusal
  | CheckInRefusal
  | ConnectRefusal
  | CheckInServiceRefusal
  | { readonly kind: 'asset-not-held' }
  | { readonly kind: 'profile-not-held' };

/** `udid` is the verified device's, once there is one. */
export function refuseDevice(c: Context<AppEnv>, refusal: DeviceEdgeRefusal, udid?: Udid): Response {
  const reason =
    'reason' in refusal ? refusal.reason : 'field' in refusal ? String(refusal.field) : undefined;
  c.get('log').event('device-refused', {
    path: c.req.path,
    refusal: refusal.kind,
    ...(reason === undefined ? {} : { reason }),
    ...(udid === undefined ? {} : { udid }),
  });
  return new Response(null, { status: statusOf(refusal) });
}

function statusOf(refusal: DeviceEdgeRefusal): number {
  switch (refusal.kind) {
    case 'body-too-large':
      return 413;
    // It could not be read, or asks for what does not exist: the device's own to repeat or to drop.
    case 'body-unreadable':
    case 'malformed-header':
    case 'malformed-cms':
    case 'malformed-plist':
    case 'malformed-message':
    case 'enrollment-id-not-supported':
    case 'unknown-message-type':
    case 'unknown-endpoint':
    case 'status-malformed':
    case 'status-too-large':
    case 'user-channel':
    // Documented for GetToken; whatever is not 200 ends the pairing's enrollment, and nothing more.
    case 'token-service-unknown':
    case 'pairing-token-refused':
      return 400;
    // Somebody else, or this device with another identity than the one it is pinned to.
    case 'signature-missing':
    case 'signer-missing':
    case 'signer-count':
    case 'algorithm-not-allowed':
    case 'content-type-mismatch':
    case 'digest-mismatch':
    case 'signature-invalid':
    case 'chain-incomplete':
    case 'chain-too-long':
    case 'chain-constraint':
    case 'chain-algorithm':
    case 'chain-signature-invalid':
    case 'certificate-expired':
    case 'certificate-not-yet-valid':
    case 'subject-without-udid':
    case 'edge-certificate-refused':
    case 'edge-certificate-unknown':
    case 'not-enrolled':
    case 'checked-out':
    case 'pin-mismatch':
    case 'identity-unknown':
    case 'serial-mismatch':
    case 'enrollment-live':
    case 'udid-mismatch':
      return 403;
    case 'unknown-declaration':
    case 'asset-not-held':
    case 'profile-not-held':
      return 404;
    case 'user-channel-declined':
      return 410;
    default:
      return refusal satisfies never;
  }
}
