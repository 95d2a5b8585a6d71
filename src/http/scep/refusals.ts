/**
 * From a SCEP refusal to failInfo (RFC 8894 §3.2.1.4). The reply is always a signed CertRep with status 200.
 *
 *     badAlg           an algorithm or cipher that is not accepted
 *     badMessageCheck  signature wrong or signer missing; envelope that cannot be read; anything after decryption
 *                      that fails before the request has proven its key, all alike
 *     badRequest       sound, but not allowed: message type, recipient, key size, credential, subject
 *     badCertId        a renewal whose certificate is not ours, has expired, or is not the device's current one
 *
 * failInfoText helps the person behind a client; where a refusal answers a guess it says nothing.
 */
import type { ScepRefusal } from '../../domain/identity/scep-service.ts';
import type { FailInfo } from '../../protocol/scep/cert-rep.ts';

export interface ScepFailure {
  readonly failInfo: FailInfo;
  readonly text: string | null;
}

export function scepFailure(refusal: ScepRefusal): ScepFailure {
  switch (refusal.kind) {
    case 'algorithm-not-allowed':
    case 'cipher-not-allowed':
    case 'key-transport-not-allowed':
      return { failInfo: 'badAlg', text: `algorithm not accepted: ${refusal.algorithm}` };
    case 'signer-key-not-rsa':
      return { failInfo: 'badAlg', text: 'the signer needs an RSA key' };
    case 'malformed-cms':
    case 'signer-missing':
    case 'signer-count':
    case 'content-type-mismatch':
    case 'digest-mismatch':
    case 'signature-invalid':
    case 'malformed-envelope':
    case 'request-unreadable':
      return { failInfo: 'badMessageCheck', text: null };
    case 'message-type-unsupported':
      return { failInfo: 'badRequest', text: 'messageType not supported' };
    case 'nonce-missing':
      return { failInfo: 'badRequest', text: 'senderNonce missing' };
    case 'recipient-unknown':
      return { failInfo: 'badRequest', text: 'not encrypted to this authority' };
    case 'key-too-small':
      return { failInfo: 'badRequest', text: `RSA key of ${refusal.bits} bits, 2048 needed` };
    case 'key-too-large':
      return { failInfo: 'badRequest', text: `RSA key of ${refusal.bits} bits, at most 4096` };
    case 'challenge-missing':
    case 'malformed-challenge':
    case 'credential-unknown':
    case 'credential-secret-wrong':
    case 'credential-expired':
    case 'credential-used':
    case 'subject-mismatch':
      return { failInfo: 'badRequest', text: null };
    case 'renewal-untrusted':
    case 'renewal-expired':
    case 'renewal-not-current':
      return { failInfo: 'badCertId', text: null };
    default:
      return refusal satisfies never;
  }
}
