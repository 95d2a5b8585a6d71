import { beforeAll, describe, expect, it } from 'vitest';
import { APPLE_ANCHORS, deviceIssuersUnder, findAppleAnchor } from '../../src/pki/apple-anchors.ts';
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts';
import { CHAIN_LENGTH_MAX, type ChainOptions, ChainVerifier } from '../../src/pki/chain.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import { epochMs } from '../../src/std/time.ts';
import { type Bytes, encode, sequence } from './support/asn1.ts';
import {
  commonName,
  EMPTY_NAME,
  type Identity,
  issue,
  type Key,
  makeKey,
  type Plan,
} from './support/authority.ts';

const NOW = epochMs(Date.UTC(2026, 5, 1));
const SIGNS = Uint8Array.of(1, 0x06);
let rsa: Key;
let small: Key;
let ec: Key;
let other: Key;
let root: Identity;
let middle: Identity;
let leaf: Identity;

beforeAll(async () => {
  rsa = await makeKey('RSA-2048');
  small = await makeKey('RSA-1024');
  ec = await makeKey('P-256');
  other = await makeKey('P-256');
  root = await issue({ subject: commonName('root'), key: rsa, ca: true, keyUsage: SIGNS });
  middle = await issue({ subject: commonName('middle'), key: ec, issuer: root, ca: true, keyUsage: SIGNS });
  leaf = await issue({ subject: commonName('leaf'), key: other, issuer: middle });
}, 60_000);

function read(identity: Identity | Bytes): Certificate {
  const parsed = parseCertificate(identity instanceof Uint8Array ? identity : identity.certificate);
  if (!parsed.ok) throw new Error(parsed.refusal.reason);
  return parsed.value;
}

function verifier(options: Partial<ChainOptions> = {}): ChainVerifier {
  return new ChainVerifier({
    anchors: [read(root)],
    checkDates: true,
    sha1: false,
    rsaBitsMin: 2048,
    ...options,
  });
}

async function outcome(chain: ChainVerifier, from: Identity, others: readonly Identity[], nowMs = NOW) {
  const proven = await chain.verify(read(from), others.map(read), nowMs);
  return proven.ok ? proven.value.length : proven.refusal.kind;
}

/** The kind for a chain whose middle is made to this plan. */
async function withMiddle(plan: Partial<Plan>, options: Partial<ChainOptions> = {}) {
  const base = { subject: commonName('middle'), key: ec, issuer: root, ca: true, keyUsage: SIGNS };
  const made = await issue({ ...base, ...plan });
  const under = await issue({
    subject: commonName('leaf'),
    key: other,
    issuer: { ...made, subject: base.subject },
  });
  return outcome(verifier(options), under, [made]);
}

describe('a chain', () => {
  it('runs from the leaf to the anchor, whether the anchor comes along or not', async () => {
    expect(await outcome(verifier(), leaf, [middle])).toBe(3);
    expect(await outcome(verifier(), leaf, [middle, root])).toBe(3);
    expect(await outcome(verifier(), middle, [])).toBe(2);
    const proven = await verifier().verify(read(leaf), [read(root), read(leaf), read(middle)], NOW);
    expect(proven.ok && proven.value.map(({ der }) => der)).toEqual([
      leaf.certificate,
      middle.certificate,
      root.certificate,
    ]);
  });

  it('is incomplete without its intermediate or with another anchor', async () => {
    expect(await outcome(verifier(), leaf, [])).toBe('chain-incomplete');
    const stranger = await issue({ subject: commonName('stranger'), key: rsa, ca: true });
    expect(await outcome(verifier({ anchors: [read(stranger)] }), leaf, [middle, root])).toBe(
      'chain-incomplete',
    );
    expect(await outcome(verifier({ anchors: [] }), leaf, [middle, root])).toBe('chain-incomplete');
  });

  it('is not proven by a certificate that vouches for itself', async () => {
    const own = await issue({ subject: commonName('own'), key: ec, ca: true });
    expect(await outcome(verifier(), own, [own])).toBe('chain-incomplete');
    expect(await outcome(verifier(), root, [root])).toBe('chain-incomplete');
  });

  it('passes through a required issuer, wherever among its CAs that stands', async () => {
    const digest = async ({ spki }: Key) => sha256Hex(spki);
    const under = (...requiredIssuers: string[]) => verifier({ requiredIssuers });
    expect(await outcome(under(await digest(ec)), leaf, [middle])).toBe(3);
    expect(await outcome(under('00', await digest(rsa)), leaf, [middle])).toBe(3);
    // The leaf's own key is no issuer, and no list means no issuer at all.
    for (const chain of [under(), under(await digest(other)), under(await digest(small))])
      expect(await outcome(chain, leaf, [middle])).toBe('chain-constraint');
    const refused = await under('00').verify(read(leaf), [read(middle)], NOW);
    expect(!refused.ok && refused.refusal).toEqual({
      kind: 'chain-constraint',
      reason: `no required issuer; issued by key ${await digest(ec)}`,
    });
  });

  it('takes another way when only that one passes through a required issuer', async () => {
    const required = await issue({ subject: commonName('required'), key: small, issuer: root, ca: true });
    const detour = await issue({ subject: commonName('middle'), key: ec, issuer: required, ca: true });
    const chain = verifier({ requiredIssuers: [await sha256Hex(small.spki)], rsaBitsMin: 1024 });
    expect(await outcome(chain, leaf, [middle])).toBe('chain-constraint');
    expect(await outcome(chain, leaf, [middle, detour, required])).toBe(4);
  });

  it('names chain by their octets', async () => {
    const upper = await issue({
      subject: commonName('leaf'),
      key: other,
      issuer: middle,
      issuerName: commonName('Middle'),
    });
    expect(await outcome(verifier(), upper, [middle])).toBe('chain-incomplete');
    const nameless = await issue({ subject: EMPTY_NAME, key: ec, issuer: root, ca: true });
    const under = await issue({ subject: commonName('leaf'), key: other, issuer: nameless });
    expect(await outcome(verifier(), under, [nameless])).toBe('chain-incomplete');
  });

  it('every link is checked by its signature', async () => {
    const forged = await issue({ subject: commonName('leaf'), key: other, issuer: middle, forgedBy: other });
    expect(await outcome(verifier(), forged, [middle])).toBe('chain-signature-invalid');
    expect(await withMiddle({ forgedBy: rsa })).toBe(3);
    expect(await withMiddle({ forgedBy: small })).toBe('chain-signature-invalid');
    const changed = leaf.certificate.slice();
    changed[20] = (changed[20] as number) ^ 1;
    const parsed = parseCertificate(changed);
    if (parsed.ok) expect((await verifier().verify(parsed.value, [read(middle)], NOW)).ok).toBe(false);
  });

  it('two authorities of one name and different keys: the one that signed is found', async () => {
    const twins = await Promise.all(
      [rsa, other, rsa].map((key) => issue({ subject: commonName('middle'), key, issuer: root, ca: true })),
    );
    expect(await outcome(verifier(), leaf, [...twins, middle])).toBe(3);
  });
});

describe('constraints', () => {
  it('an issuer is a CA, and may sign certificates if its key usage says anything', async () => {
    expect(await withMiddle({})).toBe(3);
    expect(await withMiddle({ ca: false })).toBe('chain-constraint');
    expect(await withMiddle({ keyUsage: Uint8Array.of(7, 0x80) })).toBe('chain-constraint');
    const base = { subject: commonName('middle'), key: ec, issuer: root };
    const silent = await issue({ ...base, ca: true });
    const under = await issue({ subject: commonName('leaf'), key: other, issuer: silent });
    expect(await outcome(verifier(), under, [silent])).toBe(3);
    const plain = await issue(base);
    expect(
      await outcome(verifier(), await issue({ subject: EMPTY_NAME, key: other, issuer: plain }), [plain]),
    ).toBe('chain-constraint');
  });

  it('a leaf cannot issue another', async () => {
    const child = await issue({ subject: commonName('child'), key: ec, issuer: leaf });
    expect(await outcome(verifier(), child, [leaf, middle])).toBe('chain-constraint');
  });

  it('path lengths count the intermediates below', async () => {
    for (const [pathLength, expected] of [
      [0, 'chain-constraint'],
      [1, 'chain-constraint'],
      [2, 4],
    ] as const) {
      const top = await issue({ subject: commonName('top'), key: rsa, ca: true, pathLength });
      const upper = await issue({ subject: commonName('upper'), key: ec, issuer: top, ca: true });
      const lower = await issue({
        subject: commonName('lower'),
        key: other,
        issuer: upper,
        ca: true,
        pathLength: 0,
      });
      const end = await issue({ subject: commonName('end'), key: ec, issuer: lower });
      const chain = verifier({ anchors: [read(top)] });
      // The anchor's own path length counts `upper` and `lower`.
      expect(await outcome(chain, end, [upper, lower])).toBe(
        pathLength === 1 ? 'chain-constraint' : expected,
      );
    }
  });

  it(`has at most ${CHAIN_LENGTH_MAX} certificates`, async () => {
    for (const intermediates of [CHAIN_LENGTH_MAX - 2, CHAIN_LENGTH_MAX - 1]) {
      const path: Identity[] = [];
      for (let i = 0; i < intermediates; i++) {
        path.push(
          await issue({ subject: commonName(`ca ${i}`), key: ec, issuer: path[i - 1] ?? root, ca: true }),
        );
      }
      const end = await issue({ subject: commonName('end'), key: other, issuer: path.at(-1) as Identity });
      const fits = intermediates + 2 <= CHAIN_LENGTH_MAX;
      expect(await outcome(verifier(), end, path)).toBe(fits ? CHAIN_LENGTH_MAX : 'chain-too-long');
    }
  });

  it('critical extensions that are not understood rule a certificate out, Apple’s do not', async () => {
    const extra = (type: string) => ({ extra: [{ type, critical: true, value: encode(sequence()) }] });
    expect(await withMiddle(extra('2.5.29.30'))).toBe('chain-constraint');
    expect(await withMiddle(extra('1.2.840.113635.100.6.2.1'))).toBe(3);
    const odd = await issue({ subject: commonName('leaf'), key: other, issuer: middle, ...extra('1.2.3') });
    expect(await outcome(verifier(), odd, [middle])).toBe('chain-constraint');
  });

  it('authorities that issued each other do not trap the search', async () => {
    const a = { subject: commonName('a'), key: ec, ca: true };
    const b = { subject: commonName('b'), key: other, ca: true };
    const rings: Identity[] = [];
    for (let i = 0; i < 3; i++) {
      rings.push(await issue({ ...a, issuer: { ...leaf, subject: b.subject, key: other } }));
      rings.push(await issue({ ...b, issuer: { ...leaf, subject: a.subject, key: ec } }));
    }
    const end = await issue({ subject: commonName('end'), key: other, issuer: rings[0] as Identity });
    expect(await outcome(verifier(), end, rings)).toBe('chain-too-long');
  });
});

describe('algorithms', () => {
  it('SHA-1 only where it is allowed', async () => {
    expect(await withMiddle({ hash: 'SHA-1' })).toBe('chain-algorithm');
    expect(await withMiddle({ hash: 'SHA-1' }, { sha1: true })).toBe(3);
  });

  it('small keys only where they are allowed, in leaf and issuer', async () => {
    expect(await withMiddle({ key: small })).toBe('chain-algorithm');
    expect(await withMiddle({ key: small }, { rsaBitsMin: 1024 })).toBe(3);
    const weak = await issue({ subject: commonName('weak'), key: small, issuer: middle });
    expect(await outcome(verifier(), weak, [middle])).toBe('chain-algorithm');
    expect(await outcome(verifier({ rsaBitsMin: 1024 }), weak, [middle])).toBe(3);
  });
});

describe('dates', () => {
  const old = { notBefore: '100101000000Z', notAfter: '140101000000Z' };
  const young = { notBefore: '300101000000Z', notAfter: '400101000000Z' };

  it('an expired or future certificate anywhere ends the chain', async () => {
    expect(await withMiddle(old)).toBe('certificate-expired');
    expect(await withMiddle(young)).toBe('certificate-not-yet-valid');
    const expired = await issue({ subject: commonName('leaf'), key: other, issuer: middle, ...old });
    expect(await outcome(verifier(), expired, [middle])).toBe('certificate-expired');
    const oldRoot = await issue({ subject: commonName('root'), key: rsa, ca: true, ...old });
    expect(await outcome(verifier({ anchors: [read(oldRoot)] }), leaf, [middle])).toBe('certificate-expired');
  });

  it('are ignored where the chain is known to have ended', async () => {
    expect(await withMiddle(old, { checkDates: false })).toBe(3);
  });

  it('are checked again when the chain is known', async () => {
    const short = await issue({
      subject: commonName('leaf'),
      key: other,
      issuer: middle,
      notAfter: '260701000000Z',
    });
    const chain = verifier();
    expect(await outcome(chain, short, [middle])).toBe(3);
    expect(await outcome(chain, short, [middle], epochMs(Date.UTC(2026, 6, 1)))).toBe(3);
    expect(await outcome(chain, short, [middle], epochMs(Date.UTC(2026, 6, 1) + 1))).toBe(
      'certificate-expired',
    );
    expect(await outcome(chain, short, [middle], epochMs(Date.UTC(2019, 0)))).toBe(
      'certificate-not-yet-valid',
    );
    expect(await outcome(chain, short, [middle])).toBe(3);
  });

  it('a path through a newer intermediate is found when the older one ends', async () => {
    const base = { subject: commonName('middle'), key: ec, issuer: root, ca: true };
    const first = await issue({ ...base, notAfter: '260701000000Z' });
    const renewed = await issue(base);
    const chain = verifier();
    expect(await outcome(chain, leaf, [first, renewed])).toBe(3);
    expect(await outcome(chain, leaf, [first, renewed], epochMs(Date.UTC(2027, 0)))).toBe(3);
  });
});

describe('what is remembered', () => {
  it('a proven leaf needs its intermediates no more', async () => {
    const chain = verifier();
    expect(await outcome(chain, leaf, [middle])).toBe(3);
    expect(await outcome(chain, leaf, [])).toBe(3);
  });

  it('a failure is not: the intermediates may come with the next request', async () => {
    const chain = verifier();
    expect(await outcome(chain, leaf, [])).toBe('chain-incomplete');
    const wrong = await issue({ subject: commonName('middle'), key: other, ca: true });
    expect(await outcome(chain, leaf, [wrong])).toBe('chain-signature-invalid');
    expect(await outcome(chain, leaf, [middle])).toBe(3);
  });

  it('no more than the limit, the longest unused first', async () => {
    const leaves = await Promise.all(
      Array.from({ length: 3 }, (_, i) =>
        issue({ subject: commonName(`leaf ${i}`), key: other, issuer: middle }),
      ),
    );
    const [a, b, c] = leaves as [Identity, Identity, Identity];
    const chain = verifier({ cacheMax: 2 });
    for (const each of [a, b]) await outcome(chain, each, [middle]);
    expect(await outcome(chain, a, [])).toBe(3);
    await outcome(chain, c, [middle]);
    expect(await outcome(chain, a, [])).toBe(3);
    expect(await outcome(chain, c, [])).toBe(3);
    expect(await outcome(chain, b, [])).toBe('chain-incomplete');
  });

  it('a certificate that differs in one octet from a proven one is another', async () => {
    const chain = verifier();
    expect(await outcome(chain, leaf, [middle])).toBe(3);
    const changed = leaf.certificate.slice();
    changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1;
    expect((await chain.verify(read(changed), [read(middle)], NOW)).ok).toBe(false);
  });
});

describe('Apple’s published authorities', () => {
  it('have fingerprints of full length, each its own', () => {
    const all = APPLE_ANCHORS.flatMap(({ certificateDigest, spkiDigest }) => [certificateDigest, spkiDigest]);
    expect(new Set(all).size).toBe(8);
    for (const digest of all) expect(digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('name two makers of device identities, and not the root that developers stand under', async () => {
    const [appleRoot] = APPLE_ANCHORS;
    expect(await deviceIssuersUnder(read(root), appleRoot ?? null)).toEqual([
      '74b67db15c23cc36ab2a356bd1ec2dcb27542e5509b757a9162dbbbe424a4e7c',
      '13686ec675f9fd26a123adb17b5533f593cf451edd6105ae39b748277a3922e5',
    ]);
    expect(await deviceIssuersUnder(read(root), null)).toEqual([await sha256Hex(rsa.spki)]);
  });

  it('a certificate made to look like one is none', async () => {
    const fake = await issue({ subject: commonName('Apple Root CA'), key: rsa, ca: true });
    expect(await findAppleAnchor(read(fake))).toBeNull();
  });
});
