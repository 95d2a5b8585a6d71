/** What a SignedData may be, field by field. `cms-oracle.test.ts` compares with another implementation at large. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Hash } from '../../src/pki/algorithms.ts';
import { CMS_CERTIFICATES_MAX, parseSignedData, verifySignedData } from '../../src/pki/cms-signed.ts';
import {
  type Bytes,
  encode,
  join,
  node,
  octets,
  oid,
  type Style,
  sequence,
  set,
  verbatim,
} from './support/asn1.ts';
import { commonName, EMPTY_NAME, type Identity, issue, type KeyKind, makeKey } from './support/authority.ts';
import { attribute, type CmsPlan, digestOf, makeCms } from './support/cms.ts';
import { seeded } from './support/seeded.ts';

const BODY = new TextEncoder().encode('<plist><dict><key>UDID</key></dict></plist>') as Bytes;
const POLICY = { sha1: true, rsaBitsMin: 1024 };
const identities = new Map<KeyKind, Identity>();
let rsa: Identity;
let ec: Identity;

beforeAll(async () => {
  for (const kind of ['RSA-1024', 'RSA-2048', 'P-256', 'P-384', 'P-521'] as const) {
    identities.set(kind, await issue({ subject: commonName(kind), key: await makeKey(kind) }));
  }
  rsa = identities.get('RSA-2048') as Identity;
  ec = identities.get('P-256') as Identity;
}, 60_000);

async function check(cms: Bytes, body = BODY, policy = POLICY): Promise<string> {
  const parsed = parseSignedData(cms);
  if (!parsed.ok) return parsed.refusal.kind;
  const verified = await verifySignedData(parsed.value, parsed.value.content ?? body, policy);
  return verified.ok ? 'ok' : verified.refusal.kind;
}

const make = (plan: Partial<CmsPlan> = {}) => makeCms({ content: BODY, signer: rsa, ...plan });
const indefinite: Style = () => 'indefinite';
const long: Style = () => 'long';

describe('good messages', () => {
  for (const kind of ['RSA-1024', 'RSA-2048', 'P-256', 'P-384', 'P-521'] as const) {
    for (const hash of ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'] as const satisfies readonly Hash[]) {
      it(`${kind} with ${hash} verifies in every form`, async () => {
        const signer = identities.get(kind) as Identity;
        for (const attributes of [true, false]) {
          for (const style of [undefined, indefinite, long]) {
            const plan = { signer, hash, attributes, ...(style && { style }) };
            expect(await check(await make(plan))).toBe('ok');
            expect(await check(await make({ ...plan, attached: true, bareAlgorithm: true }))).toBe('ok');
            expect(await check(await make({ ...plan, attached: true, segments: [1, 0, 20] }))).toBe('ok');
            expect(
              await check(await make({ ...plan, byKeyIdentifier: true, unsignedAttributes: true })),
            ).toBe('ok');
          }
        }
      });
    }
  }

  it('gives the content, the signer and the attributes as they are', async () => {
    const nonce = octets(Uint8Array.of(1, 2, 3));
    const cms = await make({
      attached: true,
      segments: [3, 4],
      certificates: [ec.certificate, rsa.certificate],
      changeAttributes: (list) => [...list, attribute('2.16.840.1.113733.1.9.5', nonce)],
    });
    const parsed = parseSignedData(cms);
    if (!parsed.ok) throw new Error(parsed.refusal.kind);
    expect(parsed.value.content).toEqual(BODY);
    expect(parsed.value.contentType).toBe('1.2.840.113549.1.7.1');
    expect(parsed.value.certificates.map((certificate) => certificate.der)).toEqual([
      ec.certificate,
      rsa.certificate,
    ]);
    expect(parsed.value.signer?.der).toEqual(rsa.certificate);
    expect(parsed.value.attribute('2.16.840.1.113733.1.9.5')).toEqual(encode(nonce));
    expect(parsed.value.attribute('1.2.3')).toBeNull();
    expect(parsed.value.signedAttributes?.[0]).toBe(0x31);
    const verified = await verifySignedData(parsed.value, BODY, POLICY);
    expect(verified.ok && verified.value.der).toEqual(rsa.certificate);
  });

  it('reads a view with an offset', async () => {
    const cms = await make();
    const buffer = join(Uint8Array.of(0x30, 0x80, 1), cms, Uint8Array.of(0, 0, 9));
    expect(await check(buffer.subarray(3, 3 + cms.length))).toBe('ok');
  });

  it('a signer certificate may have an empty subject', async () => {
    const signer = await issue({ subject: EMPTY_NAME, key: rsa.key, issuer: ec });
    expect(await check(await make({ signer }))).toBe('ok');
  });

  it('an empty body is a body', async () => {
    const empty = new Uint8Array(0);
    expect(await check(await make({ content: empty }), empty)).toBe('ok');
    expect(await check(await make({ content: empty, attributes: false }), empty)).toBe('ok');
    expect(await check(await make({ content: empty, attached: true }), BODY)).toBe('ok');
  });

  it('absent parameters are as good as NULL', async () => {
    expect(await check(await make({ absentParameters: true }))).toBe('ok');
  });

  it('surplus leading zeros in r and s are passed over', async () => {
    const padded = await make({
      signer: ec,
      changeSignature: (signature) => {
        const r = signature.subarray(4, 4 + (signature[3] as number));
        const s = signature.subarray(6 + r.length);
        const zero = Uint8Array.of(0);
        return encode(sequence(node(0x02, join(zero, zero, r)), node(0x02, join(zero, s))));
      },
    });
    expect(await check(padded)).toBe('ok');
  });
});

describe('what must agree', () => {
  it('content that differs by one bit is refused', async () => {
    const other = BODY.slice();
    other[5] = (other[5] as number) ^ 1;
    expect(await check(await make(), other)).toBe('digest-mismatch');
    expect(await check(await make({ attributes: false }), other)).toBe('signature-invalid');
    expect(await check(await make({ signer: ec, attributes: false }), other)).toBe('signature-invalid');
  });

  it('the content-type attribute names the content type', async () => {
    const cms = await make({
      changeAttributes: ([, digest]) => [attribute('1.2.840.113549.1.9.3', oid('1.2.3.4')), digest as never],
    });
    expect(await check(cms)).toBe('content-type-mismatch');
  });

  it('a signature by another key is refused', async () => {
    const other = identities.get('RSA-1024') as Identity;
    const signed = await make({ signer: { ...rsa, key: other.key } });
    expect(await check(signed)).toBe('signature-invalid');
    const curve = await make({ signer: { ...ec, key: (identities.get('P-384') as Identity).key } });
    expect(await check(curve)).toBe('signature-invalid');
  });

  it('damaged signature values are refused', async () => {
    const shapes: ((signature: Bytes) => Bytes)[] = [
      () => new Uint8Array(0),
      (signature) => signature.subarray(1),
      (signature) => join(signature, Uint8Array.of(0)),
      (signature) => join(Uint8Array.of(0), signature),
      (signature) => new Uint8Array(signature.length),
      () => encode(sequence(node(0x02, new Uint8Array(0)), node(0x02, Uint8Array.of(1)))),
      () => encode(sequence(node(0x02, Uint8Array.of(0x81)), node(0x02, Uint8Array.of(1)))),
      () => encode(sequence(node(0x02, new Uint8Array(32).fill(0x7f)))),
      () => encode(sequence(node(0x02, new Uint8Array(40).fill(0x7f)), node(0x02, Uint8Array.of(1)))),
    ];
    for (const [index, changeSignature] of shapes.entries()) {
      for (const signer of [rsa, ec]) {
        expect(await check(await make({ signer, changeSignature })), `shape ${index}`).toBe(
          'signature-invalid',
        );
      }
    }
  });

  it.each([
    ['no content type', (list: never[]) => [list[1] as never]],
    ['no message digest', (list: never[]) => [list[0] as never]],
    ['no attribute at all', () => []],
    ['a repeated digest', (list: never[]) => [...list, list[1] as never]],
  ])('signed attributes with %s are refused', async (_, changeAttributes) => {
    expect(await check(await make({ changeAttributes: changeAttributes as never }))).toBe('malformed-cms');
  });

  it('content type and digest have one value of the right type', async () => {
    const digest = octets(await digestOf('SHA-256', BODY));
    const data = oid('1.2.840.113549.1.7.1');
    const both = [
      [attribute('1.2.840.113549.1.9.3', data, data), attribute('1.2.840.113549.1.9.4', digest)],
      [attribute('1.2.840.113549.1.9.3', data), attribute('1.2.840.113549.1.9.4', digest, digest)],
      [attribute('1.2.840.113549.1.9.3', data), attribute('1.2.840.113549.1.9.4')],
      [attribute('1.2.840.113549.1.9.3', octets(encode(data))), attribute('1.2.840.113549.1.9.4', digest)],
      [attribute('1.2.840.113549.1.9.3', data), attribute('1.2.840.113549.1.9.4', data)],
    ];
    for (const list of both)
      expect(await check(await make({ changeAttributes: () => list }))).toBe('malformed-cms');
  });

  it('signed attributes that are not DER are refused, whatever the signature covers', async () => {
    for (const attributeStyle of [indefinite, long]) {
      expect(await check(await make({ attributeStyle }))).toBe('malformed-cms');
    }
  });

  it('a set of attributes signed in the order sent verifies, sorted or not', async () => {
    const cms = await make({ changeAttributes: (list) => [...list].reverse() });
    expect(await check(cms)).toBe('ok');
  });

  it('signed attributes cannot be passed off as the content of a message without any', async () => {
    const attributes = encode(
      set(
        attribute('1.2.840.113549.1.9.3', oid('1.2.840.113549.1.7.1')),
        attribute('1.2.840.113549.1.9.4', octets(await digestOf('SHA-256', BODY))),
      ),
    );
    const cms = await make({ content: attributes, attributes: false });
    expect(await check(cms, attributes)).toBe('malformed-cms');
    // A text that begins with the same octet is no such set.
    const one = new TextEncoder().encode('1 plist') as Bytes;
    expect(await check(await make({ content: one, attributes: false }), one)).toBe('ok');
  });
});

describe('signers', () => {
  it('there is exactly one', async () => {
    const none = await make({ signerInfos: () => [] });
    expect(await check(none)).toBe('signer-count');
    const two = parseSignedData(await make({ signerInfos: (info) => [info, info] }));
    expect(!two.ok && two.refusal).toEqual({ kind: 'signer-count', count: 2 });
  });

  it('its certificate is in the message', async () => {
    expect(await check(await make({ certificates: [] }))).toBe('signer-missing');
    expect(await check(await make({ certificates: [ec.certificate] }))).toBe('signer-missing');
    const unknown = { ...rsa, serial: rsa.serial ^ 1 };
    expect(await check(await make({ signer: unknown }))).toBe('signer-missing');
    const renamed = { ...rsa, issuer: commonName('RSA-2049') };
    expect(await check(await make({ signer: renamed }))).toBe('signer-missing');
    const keyless = { ...rsa, keyIdentifier: new Uint8Array(20) };
    expect(await check(await make({ signer: keyless, byKeyIdentifier: true }))).toBe('signer-missing');
  });

  it('it is found among others', async () => {
    const others = [...identities.values()].filter((each) => each !== rsa).map((each) => each.certificate);
    for (const byKeyIdentifier of [true, false]) {
      expect(await check(await make({ certificates: [...others, rsa.certificate], byKeyIdentifier }))).toBe(
        'ok',
      );
    }
  });

  it('certificates are limited in number and must be readable', async () => {
    const many = (count: number) => Array.from({ length: count }, () => rsa.certificate);
    expect(await check(await make({ certificates: many(CMS_CERTIFICATES_MAX) }))).toBe('ok');
    expect(await check(await make({ certificates: many(CMS_CERTIFICATES_MAX + 1) }))).toBe('malformed-cms');
    const broken = rsa.certificate.slice();
    broken[4] = 0x31;
    expect(await check(await make({ certificates: [rsa.certificate, broken] }))).toBe('malformed-cms');
    const attributeCertificate = encode(node(0xa1, new Uint8Array(4)));
    expect(await check(await make({ certificates: [attributeCertificate, rsa.certificate] }))).toBe('ok');
  });
});

describe('algorithms', () => {
  it('SHA-1 only where the policy has it', async () => {
    const strict = { sha1: false, rsaBitsMin: 2048 };
    for (const attributes of [true, false]) {
      const cms = await make({ hash: 'SHA-1', attributes });
      expect(await check(cms, BODY, strict)).toBe('algorithm-not-allowed');
      expect(await check(await make({ hash: 'SHA-256', attributes }), BODY, strict)).toBe('ok');
    }
  });

  it('small RSA keys only where the policy has them', async () => {
    const cms = await make({ signer: identities.get('RSA-1024') as Identity });
    const parsed = parseSignedData(cms);
    if (!parsed.ok) throw new Error(parsed.refusal.kind);
    const verified = await verifySignedData(parsed.value, BODY, { sha1: true, rsaBitsMin: 2048 });
    expect(!verified.ok && verified.refusal).toEqual({
      kind: 'algorithm-not-allowed',
      algorithm: '1.2.840.113549.1.1.11 with 2.16.840.1.101.3.4.2.1, key RSA-1024',
    });
  });

  it.each([
    ['MD5', { digestAlgorithm: '1.2.840.113549.2.5' }],
    ['SHA-224', { digestAlgorithm: '2.16.840.1.101.3.4.2.4' }],
    ['RSA-PSS', { signatureAlgorithm: '1.2.840.113549.1.1.10' }],
    ['MD5 with RSA', { signatureAlgorithm: '1.2.840.113549.1.1.4' }],
    ['a hash that differs from the digest', { signatureAlgorithm: '1.2.840.113549.1.1.13' }],
    ['ECDSA with an RSA key', { signatureAlgorithm: '1.2.840.10045.4.3.2' }],
    ['an unknown one', { signatureAlgorithm: '1.2.3' }],
  ])('%s is refused', async (_, plan) => {
    expect(await check(await make(plan))).toBe('algorithm-not-allowed');
  });

  it('an RSA algorithm with an EC key is refused', async () => {
    const cms = await make({ signer: ec, signatureAlgorithm: '1.2.840.113549.1.1.11' });
    expect(await check(cms)).toBe('algorithm-not-allowed');
  });

  it('a key that the runtime will not take is refused, not thrown', async () => {
    const spki = ec.key.spki.slice();
    spki.fill(0xff, spki.length - 40);
    const signer = await issue({ subject: commonName('off the curve'), key: { ...ec.key, spki } });
    expect(await check(await make({ signer }))).toBe('algorithm-not-allowed');
  });
});

describe('damage', () => {
  it('a message cut at any octet is refused', async () => {
    for (const plan of [
      {},
      { style: indefinite, attached: true, segments: [7] },
      { signer: ec, attributes: false },
    ]) {
      const cms = await make(plan);
      for (let length = 0; length < cms.length; length++) {
        const parsed = parseSignedData(cms.slice(0, length));
        expect(!parsed.ok && parsed.refusal.kind, `cut at ${length}`).toBe('malformed-cms');
      }
    }
  });

  it('anything after the message is refused', async () => {
    for (const style of [undefined, indefinite]) {
      const cms = await make(style ? { style } : {});
      for (const tail of [[0], [0, 0], [0x30, 0]]) {
        expect(await check(join(cms, Uint8Array.from(tail)))).toBe('malformed-cms');
      }
    }
  });

  it('other content than SignedData is refused', async () => {
    const enveloped = encode(sequence(oid('1.2.840.113549.1.7.3'), node(0xa0, new Uint8Array(0))));
    for (const bytes of [
      enveloped,
      new Uint8Array(0),
      encode(sequence()),
      rsa.certificate,
      new Uint8Array(4096),
    ]) {
      expect(await check(bytes)).toBe('malformed-cms');
    }
  });

  it('an element repeated, dropped or doubled anywhere never verifies by accident', async () => {
    // Splices whole runs of octets, so that lengths stay plausible more often than with single flips.
    const cms = await make({ attached: true });
    let refused = 0;
    for (let seed = 1; seed <= 3000; seed++) {
      const random = seeded(seed);
      const from = random.below(cms.length);
      const run = 1 + random.below(8);
      const piece = random.chance(0.5) ? cms.slice(from, from + run) : random.bytes(run);
      const at = random.below(cms.length);
      const changed = random.chance(0.5)
        ? join(cms.slice(0, at), piece, cms.slice(at + piece.length))
        : join(cms.slice(0, at), piece, cms.slice(at));
      const parsed = parseSignedData(changed);
      const verified =
        parsed.ok && (await verifySignedData(parsed.value, parsed.value.content ?? BODY, POLICY));
      if (parsed.ok && verified !== false && verified.ok) {
        expect(parsed.value.content ?? BODY, `seed ${seed}`).toEqual(BODY);
        expect(verified.value.spki, `seed ${seed}`).toEqual(rsa.key.spki);
      } else refused++;
    }
    expect(refused).toBeGreaterThan(1500);
  });

  it('random octets are refused', () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const random = seeded(seed);
      const bytes = join(Uint8Array.of(0x30, 0x80), random.bytes(random.below(200)));
      expect(parseSignedData(bytes).ok, `seed ${seed}`).toBe(false);
    }
  });

  it('a long run of tiny segments is read in bounded time and memory', async () => {
    const content = new Uint8Array(20_000).fill(0x41);
    const cms = await make({ content, attached: true, segments: Array.from({ length: 20_000 }, () => 1) });
    expect(await check(cms)).toBe('ok');
  });

  it('the tree is read with the octets given, not re-encoded', async () => {
    const cms = await make({ attached: true });
    const parsed = parseSignedData(encode(verbatim(cms)));
    expect(parsed.ok && parsed.value.content?.buffer.byteLength).toBe(cms.length);
  });
});
