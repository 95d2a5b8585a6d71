/**
 * Our reader against pkijs, an object-model implementation: on generated messages both agree, and of damaged ones we
 * accept none that pkijs reads and refuses. What we accept carries the signed content and the signer's key; damage
 * can only be where no signature reaches (other certificates, the certificate's own signature, unsigned attributes,
 * versions), and with the chain checked the signer's certificate is unchanged as well.
 *
 * Left out, as pkijs does not take them: an empty detached body, a serial number of non-minimal length. Found by hand
 * to be ours alone to refuse: octets after the message, repeated signed attributes and a wrong content-type value,
 * lengths that overrun their parent, parameters that are not NULL, points off the curve, dates and extensions of
 * certificates that cannot be read.
 */
import type { ContentInfo, SignedData } from 'pkijs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { ChainVerifier } from '../../src/pki/chain.ts';
import { parseSignedData, verifySignedData } from '../../src/pki/cms-signed.ts';
import { epochMs } from '../../src/std/time.ts';
import { type Bytes, join, type Style } from './support/asn1.ts';
import {
  commonName,
  EMPTY_NAME,
  type Identity,
  issue,
  type Key,
  makeKey,
  name,
} from './support/authority.ts';
import { makeCms } from './support/cms.ts';
import { type Seeded, seeded } from './support/seeded.ts';

const POLICY = { sha1: true, rsaBitsMin: 1024 };
let keys: Key[];
let authority: Identity;
let pkijs: { ContentInfo: typeof ContentInfo; SignedData: typeof SignedData };
let fromBER: typeof import('asn1js').fromBER;

beforeAll(async () => {
  const module = await import('pkijs');
  fromBER = (await import('asn1js')).fromBER;
  const engine = new module.CryptoEngine({ name: 'workerd', crypto: crypto as unknown as Crypto });
  module.setEngine('workerd', engine as unknown as Parameters<typeof module.setEngine>[1]);
  pkijs = module;
  keys = await Promise.all((['RSA-1024', 'RSA-2048', 'P-256', 'P-384', 'P-521'] as const).map(makeKey));
  authority = await issue({ subject: commonName('authority'), key: keys[2] as Key, ca: true });
}, 60_000);

async function ours(cms: Bytes, body: Bytes) {
  const parsed = parseSignedData(cms);
  if (!parsed.ok) return { verdict: false, why: parsed.refusal };
  const content = parsed.value.content ?? body;
  const verified = await verifySignedData(parsed.value, content, POLICY);
  if (!verified.ok) return { verdict: false, why: verified.refusal };
  return { verdict: true, why: null, content, signer: verified.value };
}

type Opinion = 'accepts' | 'refuses' | 'unreadable';

async function theirs(cms: Bytes, body: Bytes): Promise<Opinion> {
  let signed: SignedData;
  try {
    const { result, offset } = fromBER(cms);
    if (offset === -1) return 'unreadable';
    signed = new pkijs.SignedData({ schema: new pkijs.ContentInfo({ schema: result }).content });
  } catch {
    return 'unreadable';
  }
  if (signed.signerInfos.length !== 1) return 'refuses';
  const detached = signed.encapContentInfo.eContent === undefined;
  try {
    const data = detached ? { data: body.slice().buffer } : {};
    return (await signed.verify({ signer: 0, checkChain: false, ...data })) ? 'accepts' : 'refuses';
  } catch {
    return 'refuses';
  }
}

interface Sample {
  readonly cms: Bytes;
  readonly body: Bytes;
  readonly signer: Identity;
}

async function sample(random: Seeded): Promise<Sample> {
  const key = random.pick(keys);
  const subject = random.pick([
    EMPTY_NAME,
    commonName('device'),
    name({ '2.5.4.6': 'US', '2.5.4.10': 'Example', '2.5.4.3': 'x'.repeat(random.below(60)) }),
  ]);
  const signer = await issue({ subject, key, issuer: authority });
  const body = random.bytes(random.pick([1, 40, 127, 128, 900, 5000]));
  const wild: Style = () => random.pick(['minimal', 'long', 'indefinite'] as const);
  const styles = [undefined, wild, () => 'indefinite' as const];
  const style = random.pick(styles);
  const attached = random.chance(0.5);
  const segments = attached && random.chance(0.5) ? [random.below(100), random.below(100)] : undefined;
  const others = Array.from({ length: random.below(3) }, () => authority.certificate);
  const cms = await makeCms({
    content: body,
    signer,
    hash: random.pick(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'] as const),
    attached,
    attributes: random.chance(0.6),
    bareAlgorithm: random.chance(0.5),
    byKeyIdentifier: random.chance(0.25),
    unsignedAttributes: random.chance(0.2),
    absentParameters: random.chance(0.2),
    certificates: random.chance(0.5) ? [signer.certificate, ...others] : [...others, signer.certificate],
    ...(style && { style }),
    ...(segments && { segments }),
  });
  return { cms, body, signer };
}

function damage(cms: Bytes, random: Seeded): Bytes {
  const changed = cms.slice();
  const at = random.below(cms.length);
  switch (random.below(5)) {
    case 0:
      changed[at] = (changed[at] as number) ^ (1 << random.below(8));
      return changed;
    case 1:
      changed[at] = random.below(256);
      return changed;
    case 2:
      return join(cms.slice(0, at), random.bytes(1 + random.below(4)), cms.slice(at));
    case 3:
      return join(cms.slice(0, at), cms.slice(at + 1 + random.below(4)));
    default: {
      // Tags and lengths: small values in place of what stood there.
      changed[at] = random.pick([0, 1, 2, 4, 0x30, 0x31, 0x80, 0x81, 0x82, 0xa0, 0xa1, 0x24]);
      return changed;
    }
  }
}

describe('generated messages', () => {
  it('400 of every form: both implementations accept, and neither accepts other content', async () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = seeded(seed);
      const { cms, body } = await sample(random);
      const mine = await ours(cms, body);
      expect(mine.verdict, `seed ${seed}: ${JSON.stringify(mine.why)}`).toBe(true);
      expect(await theirs(cms, body), `pkijs, seed ${seed}`).toBe('accepts');
      const other = join(body, Uint8Array.of(0));
      if ((await parsedContent(cms)) !== null) continue;
      expect((await ours(cms, other)).verdict, `other content, seed ${seed}`).toBe(false);
    }
  }, 120_000);
});

async function parsedContent(cms: Bytes): Promise<Bytes | null> {
  const parsed = parseSignedData(cms);
  return parsed.ok ? parsed.value.content : null;
}

describe('damaged messages', () => {
  it('of 4,000 we accept none that pkijs refuses, and none with other content or another key', async () => {
    let accepted = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const random = seeded(seed);
      const { cms, body, signer } = await sample(random);
      for (let change = 0; change < 20; change++) {
        const changed = damage(cms, random);
        const mine = await ours(changed, body);
        if (!mine.verdict) continue;
        accepted++;
        const where = `seed ${seed}, change ${change}`;
        expect(await theirs(changed, body), where).not.toBe('refuses');
        expect(mine.content, where).toEqual(body);
        expect(mine.signer?.spki, where).toEqual(signer.key.spki);
      }
    }
    // About one change in six lands where no signature reaches.
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(2000);
  }, 120_000);

  it('with the chain checked as well, what is accepted has the signer certificate octet for octet', async () => {
    const anchor = parseCertificate(authority.certificate);
    if (!anchor.ok) throw new Error(anchor.refusal.reason);
    let accepted = 0;
    for (let seed = 10_001; seed <= 10_100; seed++) {
      const random = seeded(seed);
      const { cms, body, signer } = await sample(random);
      for (let change = 0; change < 20; change++) {
        const mine = await ours(damage(cms, random), body);
        if (!mine.verdict || mine.signer === undefined) continue;
        const chain = new ChainVerifier({
          anchors: [anchor.value],
          checkDates: true,
          sha1: false,
          rsaBitsMin: 1024,
        });
        const proven = await chain.verify(mine.signer, [], epochMs(Date.UTC(2026, 0)));
        if (!proven.ok) continue;
        accepted++;
        expect(mine.signer.der, `seed ${seed}, change ${change}`).toEqual(signer.certificate);
      }
    }
    expect(accepted).toBeGreaterThan(0);
  }, 120_000);
});
