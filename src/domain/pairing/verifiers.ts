/**
 * The ports of pairing that `pki` and `protocol` fill without anybody's help: what a device says of itself, signed,
 * and the signature of a pairing token.
 */
import type { ChainVerifier } from '../../pki/chain.ts';
import type { PairingTokenKeys, TokenIssuers } from '../../pki/jws.ts';
import {
  type MachineInfoSignatureRefusal,
  verifyMachineInfoSignature,
} from '../../pki/machine-info-signature.ts';
import { parseMachineInfo } from '../../protocol/mdm/machine-info.ts';
import { ok, refuse } from '../../std/outcome.ts';
import type { MachineInfoRefusal, MachineInfoVerifier, TokenKeys } from './ports.ts';

/** The most that a request which carries MachineInfo may have: its whole body is the signed CMS. */
export { MACHINE_INFO_BYTES_MAX } from '../../pki/machine-info-signature.ts';

/** `chain` is the one that knows the anchors and issuers of Apple's devices and ignores dates. */
export function machineInfoVerifier(chain: ChainVerifier): MachineInfoVerifier {
  return {
    async verify(cms, nowMs) {
      const signed = await verifyMachineInfoSignature(cms, chain, nowMs);
      if (!signed.ok) return refuse(signatureRefusal(signed.refusal));
      const parsed = parseMachineInfo(signed.value.content);
      if (!parsed.ok) {
        const { refusal } = parsed;
        const detail =
          refusal.kind === 'malformed-message' ? `${refusal.field}: ${refusal.reason}` : refusal.kind;
        return refuse({ kind: 'machine-info-malformed', detail });
      }
      const { udid, serial, product, pairingToken } = parsed.value;
      return ok({ udid, serial, product, pairingToken, signerForm: signed.value.signerForm });
    },
  };
}

/**
 * Bytes that are no CMS are malformed; a CMS that does not verify is somebody's who is not a device. The reason is told:
 * which CA signs for a watch is not published, and the digest in the refusal of a real one is how to learn it.
 */
function signatureRefusal(refusal: MachineInfoSignatureRefusal): MachineInfoRefusal {
  if (refusal.kind === 'malformed-cms') return { kind: 'machine-info-malformed', detail: refusal.reason };
  const reason = 'reason' in refusal ? `: ${refusal.reason}` : '';
  return { kind: 'machine-info-unverified', detail: `${refusal.kind}${reason}` };
}

export function tokenKeys(keys: PairingTokenKeys, issuers: TokenIssuers): TokenKeys {
  return {
    sign: (claims) => keys.sign(claims),
    verify: (token) => keys.verify(token, issuers),
  };
}
