/**
 * Apple's published roots: fetched from where Apple publishes them, and taken only with the fingerprint that this
 * project pins (`src/pki/apple-anchors.ts`), so that neither the network nor a file on disk can put another in place.
 */
import '../local/uint8array.ts';
import { APPLE_ANCHORS, type AppleAnchor } from '../../src/pki/apple-anchors.ts';
import { certificateDigest, parseCertificate } from '../../src/pki/certificate.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import { parsePem } from '../../src/pki/pem.ts';

export interface AnchorSource {
  readonly name: string;
  readonly url: string;
}

export interface PublishedAnchors {
  /** Where they are fetched. The roots that sign for devices; what they signed comes inside the devices' messages. */
  readonly sources: readonly AnchorSource[];
  readonly pins: readonly AppleAnchor[];
}

export const APPLE: PublishedAnchors = {
  sources: [{ name: 'Apple Root CA', url: 'https://www.apple.com/appleca/AppleIncRootCertificate.cer' }],
  pins: APPLE_ANCHORS,
};

const TIMEOUT_MS = 20_000;
/** The root has 1.2 KB. */
const BYTES_MAX = 64 * 1024;

export class AnchorRefusal extends Error {
  readonly offline: boolean;

  constructor(message: string, offline = false) {
    super(message);
    this.offline = offline;
  }
}

/** PEM of every source, each checked. Throws `AnchorRefusal`, and then there is nothing to use. */
export async function fetchAnchors({ sources, pins }: PublishedAnchors): Promise<string> {
  const all = await Promise.all(sources.map(async (source) => toPem(await fetchOne(source))));
  for (const [n, { name }] of sources.entries()) {
    const [found] = await judgeAnchors(all[n] ?? '', pins);
    if (found?.name !== name) throw new AnchorRefusal(`${name} was expected, and ${found?.name} came`);
  }
  return all.join('');
}

/** Which published authorities they are. Throws `AnchorRefusal` on any that signs for no device. */
export async function judgeAnchors(
  pem: string,
  pins: readonly AppleAnchor[],
): Promise<readonly AppleAnchor[]> {
  const certificates = parsePem(pem, 'CERTIFICATE').map(parseCertificate);
  if (certificates.length === 0) throw new AnchorRefusal('there is no PEM certificate');
  const found: AppleAnchor[] = [];
  for (const certificate of certificates) {
    if (!certificate.ok)
      throw new AnchorRefusal(`a certificate cannot be read: ${certificate.refusal.reason}`);
    const digest = await certificateDigest(certificate.value);
    const pin = pins.find((one) => one.certificateDigest === digest);
    if (pin === undefined || pin.spkiDigest !== (await sha256Hex(certificate.value.spki))) {
      throw new AnchorRefusal(`SHA-256 ${digest} is the fingerprint of no authority that Apple publishes`);
    }
    if (pin.purpose !== 'device') throw new AnchorRefusal(`${pin.name} does not sign for devices`);
    found.push(pin);
  }
  return found;
}

async function fetchOne({ name, url }: AnchorSource): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    const reason = cause instanceof Error ? cause.message : String(error);
    throw new AnchorRefusal(
      `${name} cannot be fetched: ${new URL(url).host} is out of reach (${reason})`,
      true,
    );
  }
  if (!response.ok) throw new AnchorRefusal(`${name} cannot be fetched: ${url} answered ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > BYTES_MAX) throw new AnchorRefusal(`${url} answered ${bytes.length} octets`);
  return bytes;
}

function toPem(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1');
  if (text.startsWith('-----BEGIN CERTIFICATE-----')) return `${text.trim()}\n`;
  const lines = (
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  ).join('\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
