/**
 * The pairing token's claims (design section 2, "The pairing token"; facts 5.1). The format is ours: both devices
 * carry it unread. Signing and verifying is `pki`'s; the order of the checks is this file's and the object's.
 *
 * Deliberately not here: whether the token was used. Only the object that issued the challenge knows that.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, type EpochMs, SECOND_MS } from '../../std/time.ts';
import { parseUdid, type Udid } from '../ids.ts';
import { TOKEN_LIFE_MS, TOKEN_SKEW_MS } from './limits.ts';
import type { TokenReason } from './states.ts';

/** As on the wire; NumericDate is seconds (RFC 7519 §2). */
export interface PairingClaims {
  readonly iss: string;
  readonly aud: string;
  /** The watch's UDID. */
  readonly sub: string;
  /** The iPhone's UDID. */
  readonly phone: string;
  /** The security token of the challenge. */
  readonly nonce: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
}

export interface Minting {
  readonly publicUrl: string;
  readonly watchUdid: Udid;
  readonly phoneUdid: Udid;
  readonly securityToken: string;
  readonly tokenId: string;
}

/** This deployment is issuer and audience: phone server and watch server are one. */
export function pairingClaims(
  minting: Minting,
  nowMs: EpochMs,
  lifeMs: number = TOKEN_LIFE_MS,
): PairingClaims {
  return {
    iss: minting.publicUrl,
    aud: minting.publicUrl,
    sub: minting.watchUdid,
    phone: minting.phoneUdid,
    nonce: minting.securityToken,
    jti: minting.tokenId,
    iat: Math.floor(nowMs / SECOND_MS),
    exp: Math.floor(addMs(nowMs, lifeMs) / SECOND_MS),
  };
}

/** A token whose signature verified and whose claims name this server and this watch, now. */
export interface PresentedToken {
  readonly phoneUdid: Udid;
  readonly securityToken: string;
  readonly tokenId: string;
  /** `null` for our own; the issuer when another server of the organization minted it. */
  readonly foreignIssuer: string | null;
}

/** `securityToken` is given where the signature vouches for it, so that the refusal lands on its pairing. */
export type TokenRefusal = { readonly kind: TokenReason; readonly securityToken: string | null };

export interface TokenExpectation {
  readonly publicUrl: string;
  readonly watchUdid: Udid;
}

/** Checks verified claims in the design's order: shape and audience with the issuer, expiry, then `sub`. */
export function checkClaims(
  claims: Readonly<Record<string, unknown>>,
  expected: TokenExpectation,
  nowMs: EpochMs,
): Outcome<PresentedToken, TokenRefusal> {
  const securityToken = text(claims['nonce']);
  const phone = parseUdid(claims['phone']);
  const tokenId = text(claims['jti']);
  const issuer = text(claims['iss']);
  const { exp, iat } = claims;
  if (securityToken === null || tokenId === null || issuer === null || !phone.ok) {
    return refuse({ kind: 'token-malformed', securityToken });
  }
  if (typeof exp !== 'number' || typeof iat !== 'number' || typeof claims['sub'] !== 'string') {
    return refuse({ kind: 'token-malformed', securityToken });
  }
  if (claims['aud'] !== expected.publicUrl) return refuse({ kind: 'token-audience', securityToken });
  // Written so that NaN and infinities refuse. A life beyond ours is no reason to honor a token longer.
  const endsMs = Math.min(exp * SECOND_MS, iat * SECOND_MS + TOKEN_LIFE_MS);
  const begun = iat * SECOND_MS <= nowMs + TOKEN_SKEW_MS;
  if (!(begun && nowMs < endsMs)) return refuse({ kind: 'token-expired', securityToken });
  if (claims['sub'] !== expected.watchUdid) return refuse({ kind: 'token-other-watch', securityToken });
  const foreignIssuer = issuer === expected.publicUrl ? null : issuer;
  return ok({ phoneUdid: phone.value, securityToken, tokenId, foreignIssuer });
}

/** A non-empty string of at most 256 characters: longer ones are nobody's identifier. */
function text(value: unknown): string | null {
  return typeof value === 'string' && value.length > 0 && value.length <= 256 ? value : null;
}
