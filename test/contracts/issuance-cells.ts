/** What every implementation of `IssuanceCells` promises. */
import { describe, expect, it } from 'vitest';
import type { CredentialClaim } from '../../src/domain/identity/credential.ts';
import { type IssuanceCells, IssuanceMint, OneTimeLinks } from '../../src/domain/identity/issuance.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import { randomBytes } from '../../src/pki/random.ts';
import { toHex, utf8 } from '../../src/std/bytes.ts';
import { addMs, HOUR_MS } from '../../src/std/time.ts';
import { NOW, subject } from '../support/identity.ts';

const LATER = addMs(NOW, 1000);
const grant = { ...subject(), platform: 'iOS', signed: true } as const;
const { origin: _, ...linkGrant } = grant;

export async function claimFor(challenge: string, key: string): Promise<CredentialClaim> {
  return {
    secretDigest: await sha256Hex(utf8(challenge.slice(33))),
    keyDigest: await sha256Hex(utf8(key)),
    certificateSerialHex: toHex(randomBytes(16)),
    namedUdids: [],
  };
}

export function issuanceCellsContract(make: () => IssuanceCells): void {
  const setUp = async () => {
    const cells = make();
    const { credentialId, challenge, expiresAtMs } = await new IssuanceMint(cells, randomBytes).mint(
      subject(),
      NOW,
    );
    return {
      cells,
      cell: cells(credentialId),
      challenge,
      expiresAtMs,
      links: new OneTimeLinks(cells, randomBytes),
    };
  };

  describe('credentials', () => {
    it('binds to the first key and gives that key the same use again', async () => {
      const { cell, challenge } = await setUp();
      const claim = await claimFor(challenge, 'a');
      const first = await cell.consumeCredential(claim, NOW);
      const use = { keyDigest: claim.keyDigest, certificateSerialHex: claim.certificateSerialHex, atMs: NOW };
      expect(first).toEqual({ ok: true, value: { subject: subject(), use } });
      expect(await cell.consumeCredential(await claimFor(challenge, 'a'), LATER)).toEqual(first);
      const other = await cell.consumeCredential(await claimFor(challenge, 'b'), LATER);
      expect(other).toEqual({ ok: false, refusal: { kind: 'credential-used', usedAtMs: NOW } });
    });

    it('refuses a wrong secret, an unknown name and another UDID, and stays unused', async () => {
      const { cells, cell, challenge } = await setUp();
      const claim = await claimFor(challenge, 'a');
      const wrong = { ...claim, secretDigest: 'f'.repeat(64) };
      expect(await cell.consumeCredential(wrong, NOW)).toMatchObject({
        refusal: { kind: 'credential-secret-wrong' },
      });
      const unknown = await cells(toHex(randomBytes(16))).consumeCredential(claim, NOW);
      expect(unknown).toMatchObject({ refusal: { kind: 'credential-unknown' } });
      const named = await cell.consumeCredential({ ...claim, namedUdids: ['another'] }, NOW);
      expect(named).toEqual({ ok: false, refusal: { kind: 'subject-mismatch', named: 'another' } });
      const secretFirst = await cell.consumeCredential({ ...wrong, namedUdids: ['another'] }, NOW);
      expect(secretFirst).toMatchObject({ refusal: { kind: 'credential-secret-wrong' } });
      expect((await cell.consumeCredential(await claimFor(challenge, 'b'), NOW)).ok).toBe(true);
    });

    it('ends with its lifetime, an hour later for the key that used it', async () => {
      const { cell, challenge, expiresAtMs } = await setUp();
      const unused = await setUp();
      const claim = await claimFor(challenge, 'a');
      expect((await cell.consumeCredential(claim, addMs(expiresAtMs, -1))).ok).toBe(true);
      expect((await cell.consumeCredential(claim, addMs(expiresAtMs, HOUR_MS - 1))).ok).toBe(true);
      expect(await cell.consumeCredential(claim, addMs(expiresAtMs, HOUR_MS))).toEqual({
        ok: false,
        refusal: { kind: 'credential-expired', ageMs: HOUR_MS },
      });
      const late = await unused.cell.consumeCredential(
        await claimFor(unused.challenge, 'a'),
        unused.expiresAtMs,
      );
      expect(late).toEqual({ ok: false, refusal: { kind: 'credential-expired', ageMs: 0 } });
    });

    it('is not replaced by opening the name again', async () => {
      const { cell, challenge, expiresAtMs } = await setUp();
      await cell.openCredential({ secretDigest: 'f'.repeat(64), subject: subject(), expiresAtMs });
      expect((await cell.consumeCredential(await claimFor(challenge, 'a'), NOW)).ok).toBe(true);
    });

    it('lets exactly one of 200 parallel keys win', async () => {
      const { cells, cell, challenge } = await setUp();
      void cell;
      const claims = await Promise.all(
        Array.from({ length: 200 }, (_, n) => claimFor(challenge, `key ${n}`)),
      );
      const name = challenge.slice(0, 32);
      const outcomes = await Promise.all(claims.map((claim) => cells(name).consumeCredential(claim, NOW)));
      expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(1);
    });
  });

  describe('links', () => {
    it('gives the grant once', async () => {
      const { links } = await setUp();
      const { code, linkId, expiresAtMs } = await links.create(linkGrant, 600, NOW);
      expect(expiresAtMs).toBe(addMs(NOW, 600_000));
      expect(await links.take(code, LATER)).toEqual({ ok: true, value: { ...linkGrant, linkId } });
      const again = await links.take(code, addMs(LATER, 1));
      expect(again).toEqual({ ok: false, refusal: { kind: 'link-used', takenAtMs: LATER } });
    });

    it('refuses unknown, malformed and expired codes', async () => {
      const { links } = await setUp();
      const { code, expiresAtMs } = await links.create(linkGrant, undefined, NOW);
      expect(expiresAtMs).toBe(addMs(NOW, HOUR_MS));
      for (const wrong of ['', 'x', `${code}x`, `${code.slice(0, -1)}!`, 'A'.repeat(43)]) {
        expect(await links.take(wrong, NOW)).toEqual({ ok: false, refusal: { kind: 'link-unknown' } });
      }
      const late = await links.take(code, expiresAtMs);
      expect(late).toEqual({ ok: false, refusal: { kind: 'link-expired', expiresAtMs } });
    });

    it('keeps wished lifetimes between a minute and a month', async () => {
      const { links } = await setUp();
      const lifetime = async (ttl: number) => (await links.create(linkGrant, ttl, NOW)).expiresAtMs - NOW;
      expect(await lifetime(1)).toBe(60_000);
      expect(await lifetime(1e9)).toBe(30 * 24 * HOUR_MS);
    });

    it('lets exactly one of 200 parallel takers win', async () => {
      const { links } = await setUp();
      const { code } = await links.create(linkGrant, 600, NOW);
      const outcomes = await Promise.all(Array.from({ length: 200 }, () => links.take(code, NOW)));
      expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(1);
    });
  });
}
