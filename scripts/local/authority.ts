/**
 * A self-signed certificate authority as PEM (RFC 5280 §4.2.1.2-9). Its key usage also allows signing and key
 * encipherment, because a SCEP server that is its own authority receives requests encrypted to this very
 * certificate (RFC 8894 §2.1.2). Made with pkijs: independent of how the server reads certificates.
 *
 * A profile makes this authority a trusted root of the device. Name constraints take from it what nobody needs: no
 * certificate under it can name a host, so its key cannot be used to intercept TLS.
 */
import { webcrypto } from 'node:crypto';
import { Set as Asn1Set, BitString, OctetString, PrintableString, Sequence, Utf8String } from 'asn1js';
import * as pkijs from 'pkijs';

/** A certificate and its PKCS#8 key, both PEM. */
export interface AuthorityPem {
  readonly certificate: string;
  readonly key: string;
}

export interface AuthorityRequest {
  readonly commonName: string;
  readonly organization: string;
  readonly key: 'RSA-2048' | 'P-384';
}

const YEARS = 10;
const YEAR_MS = 365 * 24 * 3600 * 1000;
/** Clocks of simulated devices may run behind. */
const BACKDATE_MS = 24 * 3600 * 1000;
const RSA_2048 = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
};
/** digitalSignature 0, keyEncipherment 2, keyCertSign 5, cRLSign 6; the last bit of the octet is unused. */
const KEY_USAGE = new Uint8Array([0b1010_0110]).buffer;

export async function createAuthority(request: AuthorityRequest): Promise<AuthorityPem> {
  const rsa = request.key === 'RSA-2048';
  const pair = rsa
    ? await webcrypto.subtle.generateKey(RSA_2048, true, ['sign', 'verify'])
    : await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, ['sign', 'verify']);
  const certificate = new pkijs.Certificate();
  certificate.version = 2;
  certificate.serialNumber.valueBlock.valueHexView = positiveSerial();
  const name = distinguishedName(request);
  certificate.issuer.valueBeforeDecode = name;
  certificate.subject.valueBeforeDecode = name;
  const start = Date.now() - BACKDATE_MS;
  certificate.notBefore = new pkijs.Time({ type: 0, value: wholeSecond(start) });
  certificate.notAfter = new pkijs.Time({ type: 0, value: wholeSecond(start + YEARS * YEAR_MS) });
  await certificate.subjectPublicKeyInfo.importKey(pair.publicKey as CryptoKey);
  certificate.extensions = await extensions(certificate);
  await certificate.sign(pair.privateKey as CryptoKey, rsa ? 'SHA-256' : 'SHA-384');
  return {
    certificate: toPem('CERTIFICATE', certificate.toSchema(true).toBER(false)),
    key: toPem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', pair.privateKey)),
  };
}

/** One attribute to each RelativeDistinguishedName; pkijs would put all of them into one. */
function distinguishedName({ organization, commonName }: AuthorityRequest): ArrayBuffer {
  const attributes = [
    { type: '2.5.4.6', value: new PrintableString({ value: 'US' }) },
    { type: '2.5.4.10', value: new Utf8String({ value: organization }) },
    { type: '2.5.4.3', value: new Utf8String({ value: commonName }) },
  ].map((attribute) => new pkijs.AttributeTypeAndValue(attribute).toSchema());
  return new Sequence({ value: attributes.map((value) => new Asn1Set({ value: [value] })) }).toBER(false);
}

async function extensions(certificate: pkijs.Certificate): Promise<pkijs.Extension[]> {
  const keyBits = certificate.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView;
  const keyId = new OctetString({
    valueHex: await webcrypto.subtle.digest('SHA-1', new Uint8Array(keyBits)),
  });
  const extension = (extnID: string, critical: boolean, value: { toBER(sizeOnly?: boolean): ArrayBuffer }) =>
    new pkijs.Extension({ extnID, critical, extnValue: value.toBER(false) });
  const basic = new pkijs.BasicConstraints({ cA: true, pathLenConstraint: 0 });
  return [
    extension('2.5.29.19', true, basic.toSchema()),
    extension('2.5.29.15', true, new BitString({ valueHex: KEY_USAGE, unusedBits: 1 })),
    extension('2.5.29.14', false, keyId),
    extension('2.5.29.30', false, noHosts().toSchema()),
  ];
}

/**
 * RFC 5280 §4.2.1.10: every dNSName and every iPAddress (an address and a mask of zeros) is excluded.
 * Deviation: not critical, so that a reader of certificates which does not know the extension takes the authority
 * still. What decides about TLS on Apple's devices, and OpenSSL, honor it either way.
 */
function noHosts(): pkijs.NameConstraints {
  const hosts = [
    new pkijs.GeneralName({ type: 2, value: '' }),
    ...[8, 32].map(
      (octets) =>
        new pkijs.GeneralName({ type: 7, value: new OctetString({ valueHex: new ArrayBuffer(octets) }) }),
    ),
  ];
  return new pkijs.NameConstraints({
    excludedSubtrees: hosts.map((base) => new pkijs.GeneralSubtree({ base })),
  });
}

/** 16 random octets, positive and without a leading zero octet (RFC 5280 §4.1.2.2). */
function positiveSerial(): Uint8Array<ArrayBuffer> {
  const serial = webcrypto.getRandomValues(new Uint8Array(16));
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

function toPem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
