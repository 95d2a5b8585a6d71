/** The object keeps the port's promises, also when it is evicted in the middle; it dies by alarm and leaves nothing. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { IssuanceMint, OneTimeLinks } from '../../../src/domain/identity/issuance.ts';
import { issuanceCells } from '../../../src/durable/issuance/cells.ts';
import { sha256Hex } from '../../../src/pki/digest.ts';
import { randomBytes } from '../../../src/pki/random.ts';
import { toHex, utf8 } from '../../../src/std/bytes.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { claimFor, issuanceCellsContract } from '../../contracts/issuance-cells.ts';
import { NOW, subject } from '../../support/identity.ts';

const cells = issuanceCells(env.ISSUANCE);
const mint = new IssuanceMint(cells, randomBytes);
const links = new OneTimeLinks(cells, randomBytes);
const { origin: _, ...grant } = { ...subject(), signed: false };

describe('the object keeps the promises', () => issuanceCellsContract(() => cells));

const tables = (name: string) =>
  runInDurableObject(env.ISSUANCE.getByName(name), (_, state) =>
    state.storage.sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .toArray(),
  );

describe('single use', () => {
  it('lets one of 200 keys win, half of them before and half after an eviction', async () => {
    const { credentialId, challenge } = await mint.mint(subject(), NOW);
    const claims = await Promise.all(Array.from({ length: 200 }, (_, n) => claimFor(challenge, `key ${n}`)));
    const consume = (some: typeof claims) =>
      Promise.all(some.map((claim) => cells(credentialId).consumeCredential(claim, NOW)));
    const before = await consume(claims.slice(0, 100));
    await evictDurableObject(env.ISSUANCE.getByName(credentialId));
    const after = await consume(claims.slice(100));
    expect(before.filter((outcome) => outcome.ok)).toHaveLength(1);
    expect(after.filter((outcome) => outcome.ok)).toHaveLength(0);
    const winner = claims[before.findIndex((outcome) => outcome.ok)];
    expect((await cells(credentialId).consumeCredential(winner!, NOW)).ok).toBe(true);
  });

  it('remembers that a link was taken across an eviction', async () => {
    const { code } = await links.create(grant, 600, NOW);
    const name = await sha256Hex(utf8(code));
    expect((await links.take(code, NOW)).ok).toBe(true);
    await evictDurableObject(env.ISSUANCE.getByName(name));
    expect(await links.take(code, NOW)).toMatchObject({ refusal: { kind: 'link-used' } });
  });

  it('keeps an unused credential and an unused link across an eviction', async () => {
    const { credentialId, challenge } = await mint.mint(subject(), NOW);
    const { code } = await links.create(grant, 600, NOW);
    await evictDurableObject(env.ISSUANCE.getByName(credentialId));
    await evictDurableObject(env.ISSUANCE.getByName(await sha256Hex(utf8(code))));
    expect((await cells(credentialId).consumeCredential(await claimFor(challenge, 'a'), NOW)).ok).toBe(true);
    expect((await links.take(code, NOW)).ok).toBe(true);
  });
});

describe('what is stored', () => {
  it('is nothing for a name that was only guessed at', async () => {
    const name = toHex(randomBytes(16));
    const guess = await claimFor(`${name}.${'A'.repeat(43)}`, 'a');
    expect(await cells(name).consumeCredential(guess, NOW)).toMatchObject({
      refusal: { kind: 'credential-unknown' },
    });
    expect(await cells(name).takeLink(NOW)).toMatchObject({ refusal: { kind: 'link-unknown' } });
    expect(await tables(name)).toEqual([]);
  });

  it('is never the secret or the code', async () => {
    const { credentialId, challenge } = await mint.mint(subject(), NOW);
    const { code } = await links.create(grant, 600, NOW);
    const dump = (name: string, table: string) =>
      runInDurableObject(env.ISSUANCE.getByName(name), (_, state) =>
        JSON.stringify(state.storage.sql.exec(`SELECT * FROM ${table}`).toArray()),
      );
    expect(await dump(credentialId, 'credential')).not.toContain(challenge.slice(33));
    const stored = await dump(await sha256Hex(utf8(code)), 'link');
    expect(stored).not.toContain(code);
    expect(stored).not.toContain(await sha256Hex(utf8(code)));
  });

  it('is deleted by the alarm, which may run twice', async () => {
    const { credentialId, challenge, expiresAtMs } = await mint.mint(subject(), NOW);
    const stub = env.ISSUANCE.getByName(credentialId);
    const alarmAt = await runInDurableObject(stub, (_, state) => state.storage.getAlarm());
    expect(alarmAt).toBeGreaterThan(expiresAtMs);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await tables(credentialId)).toEqual([]);
    await runInDurableObject(stub, (instance) => instance.alarm());
    const late = await cells(credentialId).consumeCredential(await claimFor(challenge, 'a'), NOW);
    expect(late).toMatchObject({ refusal: { kind: 'credential-unknown' } });
  });
});

describe('an object that fails', () => {
  const failing = (fault: object, calls: { count: number }) => ({
    getByName: () => ({
      consumeCredential: async () => {
        calls.count++;
        throw Object.assign(new Error('gone'), fault);
      },
      takeLink: async () => {
        calls.count++;
        throw Object.assign(new Error('gone'), fault);
      },
    }),
  });

  it.each([
    [{ retryable: true }, 2, 1],
    [{ retryable: true, overloaded: true }, 1, 1],
    [{}, 1, 1],
  ])(
    'is unavailable; %o is asked %i times for a credential, %i for a link',
    async (fault, credential, link) => {
      const calls = { count: 0 };
      const cell = issuanceCells(failing(fault, calls) as unknown as typeof env.ISSUANCE)('x');
      const claim = await claimFor(`${'0'.repeat(32)}.x`, 'a');
      await expect(cell.consumeCredential(claim, NOW)).rejects.toThrow(Unavailable);
      expect(calls.count).toBe(credential);
      calls.count = 0;
      await expect(cell.takeLink(NOW)).rejects.toThrow(Unavailable);
      expect(calls.count).toBe(link);
    },
  );
});
