import { beforeAll, describe, expect, it } from 'vitest';
import {
  CERTIFICATE_BYTES_MAX,
  type Certificate,
  certificateDigest,
  KEY_USAGE,
  parseCertificate,
  subjectAttributes,
} from '../../src/pki/certificate.ts';
import {
  CACHED_CERTIFICATE_BYTES_MAX,
  CACHED_CERTIFICATES_MAX,
  cachedCertificate,
} from '../../src/pki/certificate-cache.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import { subjectForm } from '../../src/pki/name.ts';
import {
  type Bytes,
  bits,
  bool,
  encode,
  explicit,
  integer,
  join,
  type Node,
  node,
  octets,
  oid,
  sequence,
  set,
  text,
  utcTime,
  verbatim,
} from './support/asn1.ts';
import {
  commonName,
  EMPTY_NAME,
  type Identity,
  issue,
  type Key,
  makeKey,
  name,
  signatureAlgorithm,
} from './support/authority.ts';
import { seeded } from './support/seeded.ts';

let key: Key;
let good: Identity;

beforeAll(async () => {
  key = await makeKey('P-256');
  good = await issue({
    subject: name({ '2.5.4.3': 'device', '2.5.4.10': 'Example' }),
    key,
    ca: true,
    pathLength: 3,
    keyUsage: Uint8Array.of(1, 0x06),
    serial: 0x1234,
  });
});

function parse(der: Bytes): Certificate {
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new Error(parsed.refusal.reason);
  return parsed.value;
}

const refusal = (der: Bytes) => {
  const parsed = parseCertificate(der);
  return parsed.ok ? null : parsed.refusal.reason;
};

/** A certificate whose parts can be left out or replaced; the signature does not matter here. */
type Part = 'version' | 'serial' | 'algorithm' | 'issuer' | 'validity' | 'subject' | 'spki' | 'extensions';
function assemble(changes: Partial<Record<Part | 'outer' | 'signature', Node | null>> = {}): Bytes {
  const parts: Record<Part, Node | null> = {
    version: explicit(0, integer(2)),
    serial: integer(5),
    algorithm: signatureAlgorithm(key, 'SHA-256'),
    issuer: verbatim(commonName('issuer')),
    validity: sequence(utcTime('200101000000Z'), utcTime('491231235959Z')),
    subject: verbatim(commonName('subject')),
    spki: verbatim(key.spki),
    extensions: null,
    ...changes,
  };
  const order: Part[] = [
    'version',
    'serial',
    'algorithm',
    'issuer',
    'validity',
    'subject',
    'spki',
    'extensions',
  ];
  const present = order.map((part) => parts[part]).filter((part) => part !== null);
  const outer = changes.outer === undefined ? signatureAlgorithm(key, 'SHA-256') : changes.outer;
  const signature = changes.signature === undefined ? bits(new Uint8Array(8)) : changes.signature;
  return encode(sequence(sequence(...present), ...[outer, signature].filter((part) => part !== null)));
}

const extensions = (...list: Node[]) => explicit(3, sequence(...list));
const extension = (type: string, value: Node, critical = false) =>
  sequence(oid(type), ...(critical ? [bool(true)] : []), octets(encode(value)));

describe('reading', () => {
  it('gives every field', () => {
    const certificate = parse(good.certificate);
    expect(certificate.der).toEqual(good.certificate);
    expect(certificate.serialNumber.toHex()).toBe('1234');
    expect(certificate.issuer).toEqual(good.subject);
    expect(certificate.subject).toEqual(good.subject);
    expect(certificate.spki).toEqual(key.spki);
    expect(certificate.notBeforeMs).toBe(Date.UTC(2020, 0, 1));
    expect(certificate.notAfterMs).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(certificate.signatureAlgorithm).toBe('1.2.840.10045.4.3.2');
    expect(certificate.isCa).toBe(true);
    expect(certificate.pathLength).toBe(3);
    expect(certificate.keyUsage).toBe(KEY_USAGE.keyCertSign | (1 << 6));
    expect(certificate.subjectKeyIdentifier).toEqual(good.keyIdentifier);
    expect(certificate.keyAlgorithm).toBe('P-256');
    expect(certificate.rsaBits).toBeNull();
    expect(certificate.unhandledCritical).toBeNull();
  });

  it('reads a view with an offset', () => {
    const buffer = join(new Uint8Array(7), good.certificate, new Uint8Array(5));
    const view = buffer.subarray(7, 7 + good.certificate.length);
    expect(parse(view).spki).toEqual(key.spki);
    expect(parse(view).der.toHex()).toBe(good.certificate.toHex());
  });

  it('without extensions nothing is allowed', () => {
    for (const version of [explicit(0, integer(2)), explicit(0, integer(1)), null]) {
      const certificate = parse(assemble({ version }));
      expect(certificate.isCa).toBe(false);
      expect(certificate.pathLength).toBeNull();
      expect(certificate.keyUsage).toBeNull();
    }
  });

  it.each([['RSA-1024', 1024] as const, ['RSA-2048', 2048] as const])(
    '%s has its size',
    async (kind, size) => {
      const certificate = parse((await issue({ subject: EMPTY_NAME, key: await makeKey(kind) })).certificate);
      expect(certificate.keyAlgorithm).toBe('RSA');
      expect(certificate.rsaBits).toBe(size);
      expect(certificate.subject).toEqual(EMPTY_NAME);
    },
  );

  it('sizes count significant bits, so a padded modulus gains nothing', () => {
    const rsaKey = (modulus: number[]) =>
      sequence(
        sequence(oid('1.2.840.113549.1.1.1'), node(0x05, new Uint8Array(0))),
        bits(encode(sequence(node(0x02, Uint8Array.from(modulus)), integer(65537)))),
      );
    for (const [modulus, size] of [
      [[0x01], 1],
      [[0, 0xff], 8],
      [[0, 0, 0, 0x7f, 0xff], 15],
      [[0, 0], 0],
    ] as const) {
      expect(parse(assemble({ spki: rsaKey([...modulus]) })).rsaBits).toBe(size);
    }
  });

  it('keys of other kinds are read as unknown', () => {
    const others = [
      sequence(sequence(oid('1.3.101.112')), bits(new Uint8Array(32))),
      sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.3.132.0.10')), bits(new Uint8Array(65))),
      sequence(sequence(oid('1.2.840.10045.2.1'), sequence()), bits(new Uint8Array(65))),
    ];
    for (const spki of others) expect(parse(assemble({ spki })).keyAlgorithm).toBe('unknown');
  });

  it('dates are UTCTime around 2000 or GeneralizedTime', () => {
    const general = (value: string) => node(0x18, new TextEncoder().encode(value) as Bytes);
    const of = (from: Node, to: Node) => parse(assemble({ validity: sequence(from, to) }));
    expect(of(utcTime('500101000000Z'), utcTime('491231235959Z')).notBeforeMs).toBe(Date.UTC(1950, 0, 1));
    expect(of(general('20500101000000Z'), general('99991231235959Z')).notAfterMs).toBe(
      Date.UTC(9999, 11, 31, 23, 59, 59),
    );
    for (const bad of [
      '2001010000Z',
      '200101000000',
      '200101000000+0000',
      '201301000000Z',
      '200132000000Z',
      '20010100000aZ',
      '',
    ]) {
      expect(
        refusal(assemble({ validity: sequence(utcTime(bad), utcTime('491231235959Z')) })),
        bad,
      ).toContain('time');
    }
    for (const bad of ['20200101000000.5Z', '200101000000Z', '20200101240000Z']) {
      expect(
        refusal(assemble({ validity: sequence(utcTime('200101000000Z'), general(bad)) })),
        bad,
      ).toContain('time');
    }
  });

  it('extensions nobody here understands are noted when critical, Apple’s are not', () => {
    const nameConstraints = extension('2.5.29.30', sequence(), true);
    const apple = extension('1.2.840.113635.100.6.10.4', node(0x05, new Uint8Array(0)), true);
    const usage = extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.2')), true);
    expect(parse(assemble({ extensions: extensions(apple, usage, nameConstraints) })).unhandledCritical).toBe(
      '2.5.29.30',
    );
    expect(parse(assemble({ extensions: extensions(apple, usage) })).unhandledCritical).toBeNull();
    const harmless = extension('2.5.29.30', sequence());
    expect(parse(assemble({ extensions: extensions(harmless) })).unhandledCritical).toBeNull();
  });

  it('the digest is the SHA-256 of all of it, and is kept', async () => {
    const certificate = parse(good.certificate);
    expect(await certificateDigest(certificate)).toBe(await sha256Hex(good.certificate));
    expect(await certificateDigest(certificate)).toBe(await sha256Hex(good.certificate));
  });
});

describe('refusing', () => {
  it('a certificate without one of its parts', () => {
    expect(refusal(assemble())).toBeNull();
    for (const part of [
      'serial',
      'algorithm',
      'issuer',
      'validity',
      'subject',
      'spki',
      'outer',
      'signature',
    ] as const) {
      expect(refusal(assemble({ [part]: null })), part).not.toBeNull();
    }
  });

  it.each([
    ['an unknown version', { version: explicit(0, integer(3)) }],
    ['extensions in version 1', { version: null, extensions: extensions() }],
    ['extensions in version 2', { version: explicit(0, integer(1)), extensions: extensions() }],
    ['an empty serial number', { serial: node(0x02, new Uint8Array(0)) }],
    ['a name that is no sequence', { issuer: set() }],
    ['a name of loose values', { subject: sequence(text('device')) }],
    ['a key that is cut', { spki: sequence(sequence(oid('1.2.840.113549.1.1.1'))) }],
    [
      'an RSA key that is none',
      { spki: sequence(sequence(oid('1.2.840.113549.1.1.1')), bits(new Uint8Array(9))) },
    ],
    ['one date', { validity: sequence(utcTime('200101000000Z')) }],
    ['three dates', { validity: sequence(...Array.from({ length: 3 }, () => utcTime('200101000000Z'))) }],
    ['another algorithm outside than inside', { outer: sequence(oid('1.2.840.10045.4.3.3')) }],
    ['a signature of odd bits', { signature: node(0x03, Uint8Array.of(3, 8)) }],
    ['something after the extensions', { extensions: node(0xa4, new Uint8Array(0)) }],
  ])('%s', (_, changes) => {
    expect(refusal(assemble(changes as never))).not.toBeNull();
  });

  it('extensions that are repeated, too many or malformed', () => {
    const constraints = (...flags: Node[]) => extension('2.5.29.19', sequence(...flags), true);
    const bad = [
      extensions(constraints(bool(true)), constraints(bool(true))),
      extensions(...Array.from({ length: 65 }, (_, i) => extension(`1.2.3.${i + 1}`, sequence()))),
      extensions(constraints(integer(1), bool(true))),
      extensions(constraints(bool(true), node(0x02, Uint8Array.of(0xff)))),
      extensions(extension('2.5.29.19', set())),
      extensions(sequence(oid('2.5.29.19'), octets(join(encode(sequence()), Uint8Array.of(0))))),
      extensions(extension('2.5.29.15', octets(new Uint8Array(1)))),
      extensions(extension('2.5.29.14', sequence())),
      extensions(sequence(oid('1.2.3'))),
      extensions(sequence(oid('1.2.3'), octets(new Uint8Array(0)), octets(new Uint8Array(0)))),
    ];
    for (const [index, list] of bad.entries())
      expect(refusal(assemble({ extensions: list })), `${index}`).not.toBeNull();
  });

  it('BER', () => {
    const body = good.certificate.subarray(4);
    const length = good.certificate.length - 4;
    const long = join(Uint8Array.of(0x30, 0x83, 0, length >> 8, length & 255), body);
    const indefinite = join(Uint8Array.of(0x30, 0x80), body, Uint8Array.of(0, 0));
    expect(refusal(long)).toContain('minimal');
    expect(refusal(indefinite)).toContain('indefinite');
  });

  it('one that is too large', () => {
    const padding = (length: number) => extension('1.2.3', octets(new Uint8Array(length)));
    const at = assemble({ extensions: extensions(padding(CERTIFICATE_BYTES_MAX - 600)) });
    expect(refusal(at)).toBeNull();
    expect(refusal(assemble({ extensions: extensions(padding(CERTIFICATE_BYTES_MAX)) }))).toBe('too large');
  });

  it('one cut at any octet, or with anything after it', () => {
    for (let length = 0; length < good.certificate.length; length++) {
      expect(refusal(good.certificate.slice(0, length)), `cut at ${length}`).not.toBeNull();
    }
    expect(refusal(join(good.certificate, Uint8Array.of(0)))).not.toBeNull();
  });

  it('never throws on damage', () => {
    for (let seed = 1; seed <= 20_000; seed++) {
      const random = seeded(seed);
      const changed = good.certificate.slice();
      for (let i = random.below(3); i >= 0; i--) changed[random.below(changed.length)] = random.below(256);
      parseCertificate(changed);
    }
  });
});

describe('the cache', () => {
  it('gives the same object for the same octets, a copy of them, and another for others', () => {
    const first = cachedCertificate(good.certificate);
    const buffer = join(new Uint8Array(3), good.certificate);
    const second = cachedCertificate(buffer.subarray(3));
    if (!first.ok || !second.ok) throw new Error('unread');
    expect(second.value).toBe(first.value);
    expect(first.value.der.buffer).not.toBe(good.certificate.buffer);
    buffer.fill(0);
    expect(second.value.der).toEqual(good.certificate);
  });

  it('two certificates that share a slot are told apart by every octet', () => {
    // The slot is made of the length and the last 16 octets.
    const twins = [1, 2, 3].map((serial) => assemble({ serial: integer(serial) }));
    for (let round = 0; round < 3; round++) {
      for (const twin of twins) {
        const found = cachedCertificate(twin);
        expect(found.ok && found.value.der).toEqual(twin);
      }
    }
  });

  it('refuses what cannot be read, again and again', () => {
    const broken = good.certificate.slice();
    broken[0] = 0x31;
    expect(cachedCertificate(broken).ok).toBe(false);
    expect(cachedCertificate(broken).ok).toBe(false);
  });

  it('keeps none that is large: strangers send them too', () => {
    const sized = (octets: number) => {
      const der = assemble({ signature: bits(new Uint8Array(octets)) });
      const [once, twice] = [cachedCertificate(der), cachedCertificate(der)];
      if (!once.ok || !twice.ok) throw new Error('unread');
      expect(twice.value.der).toEqual(der);
      return { bytes: der.length, kept: once.value === twice.value };
    };
    const limit = CACHED_CERTIFICATE_BYTES_MAX;
    const surplus = sized(limit).bytes - limit;
    expect(sized(limit - surplus)).toEqual({ bytes: limit, kept: true });
    expect(sized(limit - surplus + 1)).toEqual({ bytes: limit + 1, kept: false });
  });

  it('forgets the oldest beyond its limit', () => {
    const numbered = (n: number) => assemble({ signature: bits(seeded(n).bytes(16)) });
    const first = cachedCertificate(numbered(0));
    for (let n = 1; n <= CACHED_CERTIFICATES_MAX + 1; n++) cachedCertificate(numbered(n));
    const again = cachedCertificate(numbered(0));
    if (!first.ok || !again.ok) throw new Error('unread');
    expect(again.value).not.toBe(first.value);
    expect(again.value.der).toEqual(first.value.der);
  });
});

describe('names', () => {
  it('attributes are read by type, the first of each', () => {
    const subject = encode(
      sequence(
        set(sequence(oid('2.5.4.6'), node(0x13, new TextEncoder().encode('US') as Bytes))),
        set(sequence(oid('2.5.4.3'), text('Müller ⌚')), sequence(oid('2.5.4.11'), text('Unit'))),
        set(sequence(oid('2.5.4.3'), text('second'))),
        set(sequence(oid('2.5.4.10'), node(0x1e, Uint8Array.of(0, 0x41, 0x23, 0x1a)))),
        set(sequence(oid('0.9.2342.19200300.100.1.1'), node(0x16, new TextEncoder().encode('uid') as Bytes))),
        set(sequence(oid('2.5.4.45'), bits(Uint8Array.of(1)))),
      ),
    );
    expect([...subjectAttributes(subject)]).toEqual([
      ['2.5.4.6', 'US'],
      ['2.5.4.3', 'Müller ⌚'],
      ['2.5.4.11', 'Unit'],
      ['2.5.4.10', 'A⌚'],
      ['0.9.2342.19200300.100.1.1', 'uid'],
      ['2.5.4.45', ''],
    ]);
  });

  it('an empty name has none, nor has one that is damaged anywhere', () => {
    expect(subjectAttributes(EMPTY_NAME).size).toBe(0);
    const subject = name({ '2.5.4.3': 'device', '2.5.4.10': 'Example' });
    for (let length = 0; length < subject.length; length++) {
      expect(subjectAttributes(subject.slice(0, length)).size).toBe(0);
    }
    expect(subjectAttributes(join(subject, Uint8Array.of(0))).size).toBe(0);
  });

  it.each([
    ['empty subject', {}],
    ['CN only', { '2.5.4.3': 'a' }],
    [
      'full subject',
      {
        '2.5.4.6': 'US',
        '2.5.4.8': 'CA',
        '2.5.4.7': 'C',
        '2.5.4.10': 'A',
        '2.5.4.11': 'iPhone',
        '2.5.4.3': 'x',
      },
    ],
    ['O+CN', { '2.5.4.3': 'a', '2.5.4.10': 'b' }],
    ['CN+other', { '2.5.4.3': 'a', '2.5.4.5': 'b' }],
    ['other', { '2.5.4.5': 'b' }],
  ])('the form of a subject is told without its values: %s', (form, attributes) => {
    expect(subjectForm(name(attributes as Record<string, string>))).toBe(form);
  });
});
