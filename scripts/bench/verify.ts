/**
 * One Mdm-Signature against bare `subtle.verify`. Timed from outside, by requests that repeat an operation for a tenth
 * of a second, because a Worker's own clock stands still while it computes.
 */
import { Buffer } from 'node:buffer';
import { issueCertificate } from '../../test/simulator/certificate.ts';
import { createWorld, DeviceKey, fromPem, readCertificate } from '../../test/simulator/index.ts';
import { mdmSignature, type SigningMode } from '../../test/simulator/messages.ts';
import { writePlist } from '../../test/simulator/plist.ts';
import type { AuthorityPem } from '../local/authority.ts';
import { startOwnWorker } from './own-worker.ts';
import { median } from './report.ts';
import type { VerifyFixture } from './verify-worker.ts';

export interface VerifyFigures {
  /** Microseconds for one. */
  readonly [fixture: string]: { readonly ours: number; readonly floor: number; readonly ratio: number };
}

/** Short runs in turn, each judged against its neighbor: on a shared machine the speed changes by the second. */
const RUNS = 15;
const RUN_MS = 100;
const WARM_UP = 500;

export async function benchVerify(ca: AuthorityPem): Promise<VerifyFigures> {
  const fixtures = {
    'RSA-2048': fixture(ca, 'rsa-2048', 'modern'),
    'RSA-2048, SHA-1 BER': fixture(ca, 'rsa-2048', 'legacy'),
    'P-256': fixture(ca, 'p-256', 'modern'),
  };
  const { url, stop } = await startOwnWorker('verify-worker.ts', { FIXTURES: fixtures });
  try {
    const time = (op: string, name: string) => micros(url, op, name);
    const verify: Record<string, VerifyFigures[string]> = {};
    for (const name of Object.keys(fixtures)) {
      const pairs = [];
      for (let run = 0; run < RUNS; run++) {
        pairs.push({ ours: await time('verify', name), floor: await time('bareVerify', name) });
      }
      verify[name] = {
        ours: median(pairs.map((p) => p.ours)),
        floor: median(pairs.map((p) => p.floor)),
        ratio: median(pairs.map((p) => p.ours / p.floor)),
      };
    }
    return verify;
  } finally {
    await stop();
  }
}

function fixture(ca: AuthorityPem, kind: 'rsa-2048' | 'p-256', mode: SigningMode): VerifyFixture {
  const issuer = readCertificate(fromPem(ca.certificate)[0] ?? Buffer.alloc(0));
  const key = DeviceKey.generate(kind);
  const dayMs = 86_400_000;
  const world = createWorld({
    baseUrl: 'http://127.0.0.1',
    deviceCa: { certificatePem: '', keyPem: '' },
    seed: 1,
  });
  const certificate = readCertificate(
    issueCertificate({
      serial: 7,
      subject: [['2.5.4.3', world.random.uuid()]],
      issuer: issuer.subject,
      spki: key.spki,
      notBeforeMs: Date.now() - dayMs,
      notAfterMs: Date.now() + dayMs,
      signWith: DeviceKey.fromPem(ca.key),
    }),
  );
  const body = writePlist({ UDID: world.random.uuid(), Status: 'Idle' });
  return {
    header: mdmSignature(body, key, certificate, mode),
    body: Buffer.from(body).toString('base64'),
    spki: key.spki.toString('base64'),
    signature: (kind === 'p-256' ? rawEcdsa(key.sign(body)) : key.sign(body)).toString('base64'),
    kind: kind === 'p-256' ? 'ec' : 'rsa',
  };
}

/** Ecdsa-Sig-Value (RFC 3279 §2.2.3) to the r‖s that WebCrypto takes. */
function rawEcdsa(der: Buffer): Buffer {
  const rLength = der[3] ?? 0;
  const r = der.subarray(4, 4 + rLength);
  const s = der.subarray(6 + rLength);
  const fixed = (n: Buffer) => Buffer.concat([Buffer.alloc(32), n]).subarray(-32);
  return Buffer.concat([fixed(r), fixed(s)]);
}

async function micros(url: string, op: string, name: string): Promise<number> {
  const once = async (n: number) => {
    const startedAt = performance.now();
    const response = await fetch(`${url}/?op=${op}&fixture=${encodeURIComponent(name)}&n=${n}`);
    if (!response.ok) throw new Error(`${op} of ${name}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
    return performance.now() - startedAt;
  };
  const warm = await once(WARM_UP);
  const times = Math.max(200, Math.round((RUN_MS * WARM_UP) / Math.max(warm, 1)));
  return (1000 * (await once(times))) / times;
}
