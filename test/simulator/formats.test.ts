/** The simulator's own formats: what it writes it reads back, and pkijs, which shares nothing with it, agrees. */
import { Buffer } from 'node:buffer';
import { fromBER } from 'asn1js';
import * as pkijs from 'pkijs';
import { describe, expect, it } from 'vitest';
import { issueCertificate, OID, readCertificate, readName } from './certificate.ts';
import { CMS, open, sign } from './cms.ts';
import {
  child,
  context,
  indefinite,
  integer,
  octetString,
  octets,
  oid,
  oidText,
  read,
  sequence,
  time,
  timeMs,
} from './der.ts';
import { type Cipher, envelop, openEnvelope } from './enveloped.ts';
import { DeviceKey } from './keys.ts';
import { type Plist, readPlist, writePlist } from './plist.ts';
import { bearIdentity, createDeviceCa, createWorld } from './world.ts';

const key = DeviceKey.generate();
const ca = createDeviceCa('Formats CA', key);
const world = createWorld({ baseUrl: 'https://mdm.example.com', deviceCa: ca, seed: 7 });
const identity = bearIdentity(world);
const content = Buffer.from('what is signed');

describe('DER', () => {
  it('reads what it writes', () => {
    const encoded = sequence(
      integer(0),
      integer(128),
      integer(Buffer.from([0, 0, 200])),
      oid('1.2.840.113635.100.6.10.4'),
    );
    const node = read(encoded);
    expect(node.children.map((one) => one.body.toString('hex')).slice(0, 3)).toEqual(['00', '0080', '00c8']);
    expect(oidText(child(node, 3))).toBe('1.2.840.113635.100.6.10.4');
  });

  it('reads indefinite lengths and constructed strings', () => {
    const chunks = indefinite(0x24, octetString(Buffer.from('ab')), octetString(Buffer.from('cd')));
    expect(octets(child(read(indefinite(0x30, context(0, chunks))), 0).children[0]!).toString()).toBe('abcd');
  });

  it('keeps the year across the turn from UTCTime to GeneralizedTime', () => {
    for (const iso of [
      '1999-12-31T23:59:59Z',
      '2026-11-22T01:02:03Z',
      '2049-12-31T00:00:00Z',
      '2050-01-01T00:00:00Z',
    ]) {
      expect(timeMs(read(time(Date.parse(iso))))).toBe(Date.parse(iso));
    }
  });

  it('refuses bytes after the end and lengths past it', () => {
    expect(() => read(Buffer.concat([integer(1), Buffer.from([0])]))).toThrow(/after the last/);
    const whole = sequence(integer(1), octetString(Buffer.alloc(200)));
    for (let size = 0; size < whole.length; size++)
      expect(() => child(read(whole.subarray(0, size)), 0)).toThrow();
  });
});

describe('certificates', () => {
  it('are read by pkijs with the same fields', () => {
    const theirs = pkijs.Certificate.fromBER(Uint8Array.from(identity.certificate.der));
    expect(Buffer.from(theirs.serialNumber.valueBlock.valueHexView)).toEqual(identity.certificate.serial);
    expect(Buffer.from(theirs.subjectPublicKeyInfo.toSchema().toBER())).toEqual(identity.certificate.spki);
    expect(readName(identity.certificate.subject).get(OID.commonName)).toMatch(/^[0-9A-F-]{36}$/);
  });

  it('verify under the authority and under no other', async () => {
    expect(identity.certificate.issuedBy(identity.chain[0]!)).toBe(true);
    const other = createDeviceCa('Formats CA', DeviceKey.generate());
    const stranger = readCertificate(
      Buffer.from(other.certificatePem.replace(/-----[^-]+-----/g, ''), 'base64'),
    );
    expect(identity.certificate.issuedBy(stranger)).toBe(false);
    const theirs = pkijs.Certificate.fromBER(Uint8Array.from(identity.certificate.der));
    const issuer = pkijs.Certificate.fromBER(Uint8Array.from(identity.chain[0]!.der));
    expect(await theirs.verify(issuer)).toBe(true);
  });

  it('take the form of the genuine capture: RSA-1024, SHA-1', () => {
    const genuine = bearIdentity(world, { genuine: true });
    expect(genuine.certificate.issuedBy(genuine.chain[0]!)).toBe(true);
    expect(genuine.certificate.spki.length).toBeLessThan(200);
  });
});

describe('CMS', () => {
  const signedWith = { key: identity.key, certificate: identity.certificate, chain: identity.chain };
  const dressings = (['SHA-1', 'SHA-256', 'SHA-512'] as const).flatMap((hash) =>
    [true, false].flatMap((signedAttributes) =>
      (['der', 'ber'] as const).flatMap((encoding) =>
        [true, false].map((detached) => ({ hash, signedAttributes, encoding, detached })),
      ),
    ),
  );

  it.each(dressings)(
    '$hash, attributes $signedAttributes, $encoding, detached $detached: opens here and in pkijs',
    async (dressing) => {
      const cms = sign(content, { ...signedWith, ...dressing });
      expect(open(cms, { content }).signer.der).toEqual(identity.certificate.der);
      const info = new pkijs.ContentInfo({ schema: fromBER(Uint8Array.from(cms)).result });
      const signed = new pkijs.SignedData({ schema: info.content });
      expect(
        await signed.verify({
          signer: 0,
          ...(dressing.detached ? { data: Uint8Array.from(content).buffer } : {}),
        }),
      ).toBe(true);
    },
  );

  it('does not open after a change of content, attributes or signature', () => {
    const cms = sign(content, signedWith);
    for (const at of [cms.indexOf(content), cms.length - 1, cms.indexOf(oid(CMS.messageDigest)) + 20]) {
      const changed = Buffer.from(cms);
      changed[at] = changed[at]! ^ 1;
      expect(() => open(changed)).toThrow();
    }
  });

  it('signs with P-256', () => {
    const ec = DeviceKey.generate('p-256');
    const own = { key: ec, certificate: bearIdentity(world, { key: ec }).certificate };
    expect(open(sign(content, own)).content).toEqual(content);
  });

  it.each(['aes-128', 'aes-256', '3des', 'des'] as Cipher[])(
    'envelopes with %s, primitive and constructed',
    (cipher) => {
      for (const constructed of [true, false]) {
        const recipient = identity.certificate;
        const opened = openEnvelope(
          envelop(content, { recipient, cipher, constructed }),
          recipient,
          identity.key,
        );
        expect(opened).toEqual({ content, cipher });
      }
    },
  );

  it('does not open an envelope for someone else', () => {
    const der = issueCertificate({
      serial: 99,
      subject: [[OID.commonName, 'other']],
      issuer: identity.chain[0]!.subject,
      spki: key.spki,
      notBeforeMs: 0,
      notAfterMs: 1e12,
      signWith: key,
    });
    const cms = envelop(content, { recipient: readCertificate(der) });
    expect(() => openEnvelope(cms, identity.certificate, identity.key)).toThrow(/someone else/);
  });
});

describe('property lists', () => {
  const document: Plist = {
    Text: `it's <b>&amp;</b> "quoted" ü \u{1f550}`,
    Empty: '',
    Number: -42,
    Real: 0.5,
    Yes: true,
    No: false,
    Data: Buffer.from([0, 1, 254, 255]),
    Date: new Date('2026-11-22T01:02:03Z'),
    List: ['a', [], {}, { Deep: [1] }],
  };

  it('reads what it writes', () => {
    expect(readPlist(writePlist(document))).toEqual(document);
  });

  const wrap = (xml: string) => Buffer.from(`<plist version="1.0">${xml}</plist>`);

  it('takes numeric references, comments and empty elements', () => {
    expect(readPlist(wrap('<dict><!-- x --><key>a&#39;b</key><string/><key>c</key><data/></dict>'))).toEqual({
      "a'b": '',
      c: Buffer.alloc(0),
    });
  });

  it.each([
    '<dict><key>a</key></dict>',
    '<dict><string>a</string></dict>',
    '<dict><key>a</key><key>b</key><string/></dict>',
    '<dict><key>a</key><true/><key>a</key><true/></dict>',
    '<string>a</string><string>b</string>',
    '<string>&unknown;</string>',
    '<string>a & b</string>',
    '<integer>0x10</integer>',
    '<integer></integer>',
    '<data>a</data>',
    '<date>yesterday</date>',
    '<widget/>',
    '<array>text</array>',
    '<string><true/></string>',
    '<dict></array>',
  ])('refuses %s', (xml) => {
    expect(() => readPlist(wrap(xml))).toThrow();
  });

  it('refuses a document cut short anywhere', () => {
    const whole = writePlist(document).toString().trimEnd();
    for (let size = 0; size < whole.length; size += 7) {
      expect(() => readPlist(Buffer.from(whole.slice(0, size)))).toThrow();
    }
  });
});
