/**
 * Certificate chains (RFC 5280 §6.1): from a leaf, over certificates that came with it, to a configured anchor.
 * Names chain by their DER bytes and every link by its signature; issuers must be CAs within their path length.
 * Name constraints and policies are not evaluated: a certificate that makes them critical is refused.
 * Revocation is not asked: own certificates are pinned, Apple's device chain publishes nothing to ask.
 *
 * Only a proven chain is cached, by the digest of its leaf: that a leaf chains to an anchor does not depend on what
 * else came with it, while a failure may be due to a missing intermediate and says nothing about the next request.
 */
import { type Bytes, equalBytes } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import { type EpochMs, epochMs } from '../std/time.ts';
import { RSA_BITS_MAX, verifySignature } from './algorithms.ts';
import { type Certificate, certificateDigest, KEY_USAGE } from './certificate.ts';
import { sha256Hex } from './digest.ts';

/** Leaf to anchor, both included. Apple's device chain has four. */
export const CHAIN_LENGTH_MAX = 6;
/** Signatures checked for one leaf: a chain of six, and as many wrong turns among certificates of one name. */
const SIGNATURE_CHECKS_MAX = 12;
/** 4,096 proven chains, at a leaf and a reference each: under 8 MB. */
const CACHED_CHAINS_MAX = 4096;

export interface ChainOptions {
  readonly anchors: readonly Certificate[];
  /**
   * Lower-case hex SHA-256 of SubjectPublicKeyInfos: a path counts only with one of these keys among its CAs. For an
   * anchor under which others get certificates as well: what they hold then proves nothing here.
   */
  readonly requiredIssuers?: readonly string[];
  readonly checkDates: boolean;
  readonly sha1: boolean;
  readonly rsaBitsMin: number;
  readonly cacheMax?: number;
}

export type ChainRefusal =
  | { readonly kind: 'chain-incomplete' }
  | { readonly kind: 'chain-too-long' }
  | { readonly kind: 'chain-constraint'; readonly reason: string }
  | { readonly kind: 'chain-algorithm'; readonly algorithm: string }
  | { readonly kind: 'chain-signature-invalid' }
  | { readonly kind: 'certificate-expired'; readonly notAfterMs: EpochMs }
  | { readonly kind: 'certificate-not-yet-valid'; readonly notBeforeMs: EpochMs };

interface ProvenChain {
  readonly path: Certificate[];
  readonly notBeforeMs: EpochMs;
  readonly notAfterMs: EpochMs;
}

/** One attempt to prove one leaf. */
interface Search {
  readonly candidates: readonly Certificate[];
  readonly nowMs: EpochMs;
  checks: number;
  /** Why the most promising path ended: the first thing found wrong with an issuer. */
  refusal: ChainRefusal | null;
}

export class ChainVerifier {
  readonly #options: ChainOptions;
  readonly #proven = new Map<string, ProvenChain>();

  constructor(options: ChainOptions) {
    this.#options = options;
  }

  /** Leaf to anchor, or why there is no such chain. `others` may hold anything, in any order. */
  async verify(
    leaf: Certificate,
    others: readonly Certificate[],
    nowMs: EpochMs,
  ): Promise<Outcome<Certificate[], ChainRefusal>> {
    const digest = await certificateDigest(leaf);
    const proven = this.#proven.get(digest);
    if (proven !== undefined) {
      this.#proven.delete(digest);
      if (!this.#options.checkDates || (proven.notBeforeMs <= nowMs && nowMs <= proven.notAfterMs)) {
        this.#proven.set(digest, proven);
        return ok(proven.path);
      }
    }
    const unfit = this.#leafRefusal(leaf, nowMs);
    if (unfit !== null) return refuse(unfit);
    const candidates = [...this.#options.anchors, ...others];
    const search: Search = { candidates, nowMs, checks: 0, refusal: null };
    const path = await this.#extend([leaf], search);
    if (path === null) return refuse(search.refusal ?? { kind: 'chain-incomplete' });
    this.#keep(digest, path);
    return ok(path);
  }

  #keep(digest: string, path: Certificate[]): void {
    const notBeforeMs = epochMs(Math.max(...path.map((certificate) => certificate.notBeforeMs)));
    const notAfterMs = epochMs(Math.min(...path.map((certificate) => certificate.notAfterMs)));
    if (this.#proven.size >= (this.#options.cacheMax ?? CACHED_CHAINS_MAX)) {
      const oldest = this.#proven.keys().next();
      if (!oldest.done) this.#proven.delete(oldest.value);
    }
    this.#proven.set(digest, { path, notBeforeMs, notAfterMs });
  }

  #leafRefusal(leaf: Certificate, nowMs: EpochMs): ChainRefusal | null {
    const { rsaBits } = leaf;
    if (rsaBits !== null && (rsaBits < this.#options.rsaBitsMin || rsaBits > RSA_BITS_MAX)) {
      return { kind: 'chain-algorithm', algorithm: `RSA-${rsaBits}` };
    }
    return this.#certificateRefusal(leaf, nowMs);
  }

  /** What rules a certificate out of any chain. */
  #certificateRefusal(certificate: Certificate, nowMs: EpochMs): ChainRefusal | null {
    const { unhandledCritical, notBeforeMs, notAfterMs } = certificate;
    if (unhandledCritical !== null) {
      return { kind: 'chain-constraint', reason: `critical extension ${unhandledCritical}` };
    }
    if (!this.#options.checkDates) return null;
    if (nowMs < notBeforeMs) return { kind: 'certificate-not-yet-valid', notBeforeMs };
    return nowMs > notAfterMs ? { kind: 'certificate-expired', notAfterMs } : null;
  }

  /** Depth first, anchors before the rest. Depth and work are bounded by the two limits above. */
  async #extend(path: Certificate[], search: Search): Promise<Certificate[] | null> {
    const child = path[path.length - 1] as Certificate;
    for (const issuer of search.candidates) {
      if (!equalBytes(issuer.subject, child.issuer) || isEmptyName(issuer.subject)) continue;
      if (path.some((certificate) => equalBytes(certificate.der, issuer.der))) continue;
      const refusal = await this.#issuerRefusal(child, issuer, path.length - 1, search);
      if (refusal !== null) {
        search.refusal ??= refusal;
        continue;
      }
      const longer = [...path, issuer];
      if (this.#isAnchor(issuer)) {
        const foreign = await this.#requiredIssuerRefusal(longer);
        if (foreign === null) return longer;
        search.refusal ??= foreign;
      }
      const complete = await this.#extend(longer, search);
      if (complete !== null) return complete;
    }
    return null;
  }

  async #issuerRefusal(
    child: Certificate,
    issuer: Certificate,
    intermediates: number,
    search: Search,
  ): Promise<ChainRefusal | null> {
    if (intermediates + 2 > CHAIN_LENGTH_MAX || search.checks >= SIGNATURE_CHECKS_MAX) {
      return { kind: 'chain-too-long' };
    }
    const constraint = issuerConstraint(issuer, intermediates);
    if (constraint !== null) return { kind: 'chain-constraint', reason: constraint };
    const refusal = this.#certificateRefusal(issuer, search.nowMs);
    if (refusal !== null) return refusal;
    search.checks++;
    const algorithm = { signature: child.signatureAlgorithm, digest: null };
    const verdict = await verifySignature(issuer, algorithm, this.#options, child.signature, child.tbs);
    if (verdict === 'valid') return null;
    if (verdict === 'invalid') return { kind: 'chain-signature-invalid' };
    const key = issuer.rsaBits === null ? issuer.keyAlgorithm : `RSA-${issuer.rsaBits}`;
    return { kind: 'chain-algorithm', algorithm: `${child.signatureAlgorithm}, key ${key}` };
  }

  #isAnchor(certificate: Certificate): boolean {
    return this.#options.anchors.some((anchor) => equalBytes(anchor.der, certificate.der));
  }

  /** The reason names the key of the CA that issued the leaf, so that whoever meant that CA can require it. */
  async #requiredIssuerRefusal([, ...issuers]: readonly Certificate[]): Promise<ChainRefusal | null> {
    const { requiredIssuers } = this.#options;
    if (requiredIssuers === undefined) return null;
    const digests = await Promise.all(issuers.map(({ spki }) => sha256Hex(spki)));
    if (digests.some((digest) => requiredIssuers.includes(digest))) return null;
    return { kind: 'chain-constraint', reason: `no required issuer; issued by key ${digests[0]}` };
  }
}

/** RFC 5280 §6.1.4 (k) to (n). `intermediates`: certificates between this issuer and the leaf. */
function issuerConstraint(issuer: Certificate, intermediates: number): string | null {
  if (!issuer.isCa) return 'issuer is not a CA';
  if (issuer.keyUsage !== null && (issuer.keyUsage & KEY_USAGE.keyCertSign) === 0)
    return 'key usage of issuer';
  if (issuer.pathLength !== null && intermediates > issuer.pathLength) return 'path length';
  return null;
}

/** RFC 5280 §4.1.2.4: an issuer has a name. */
function isEmptyName(name: Bytes): boolean {
  return name.length <= 2;
}
