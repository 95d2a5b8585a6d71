/**
 * Deployments into the simulated Cloudflare: the real steps and the real Wrangler, with a simulated root standing for
 * Apple's. State and configuration go to a folder of the test's own.
 */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Choices } from '../../scripts/deploy/choices.ts';
import { type Deployed, deploy, type World } from '../../scripts/deploy/run.ts';
import { createAuthority } from '../../scripts/local/authority.ts';
import type { PublishedAnchors } from '../../scripts/trust-anchors/anchors.ts';
import '../../scripts/local/uint8array.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import { type FakeCloudflare, startFakeCloudflare } from '../simulator/cloudflare/server.ts';

export const TOKEN = 'token-of-the-simulated-account';
export const ADMIN_KEY = 'an-administrator-key-of-tests';

export const NO_CHOICES: Choices = {
  name: 'lab',
  dryRun: false,
  yes: true,
  vars: {},
  transport: null,
  pushCertificate: null,
  pushKey: null,
  packages: null,
  anchors: null,
  escrowTo: null,
  secretsFromInput: false,
  show: { adminKey: false, relayKey: false },
  newAdminKey: false,
  accepted: new Set(['no-push']),
};

export interface Lab {
  readonly cloudflare: FakeCloudflare;
  readonly folder: string;
  readonly published: PublishedAnchors;
  /** Every line that was told, of all runs. */
  readonly told: string[];
  run(choices?: Partial<Choices>, world?: Partial<World>): Promise<Deployed>;
}

/** `folder` is where `ESCAPEMENT_FOLDER` points. */
export async function startLab(folder: string): Promise<Lab> {
  const cloudflare = await startFakeCloudflare({ token: TOKEN });
  process.env['CLOUDFLARE_API_BASE_URL'] = cloudflare.url;
  const { published, path } = await simulatedApple(folder);
  const told: string[] = [];
  const world: World = {
    credentials: () => Promise.resolve({ token: TOKEN, account: null }),
    published,
    environment: { ADMIN_KEY },
    readInput: () => '{}',
    now: () => new Date(),
    tell: (line) => told.push(line),
    confirm: () => Promise.resolve(false),
  };
  return {
    ...{ cloudflare, folder, published, told },
    run: (choices = {}, over = {}) =>
      deploy({ ...NO_CHOICES, anchors: path, ...choices }, { ...world, ...over }),
  };
}

async function simulatedApple(folder: string) {
  const name = 'Simulated Root';
  const { certificate } = await createAuthority({ commonName: name, organization: 'Lab', key: 'RSA-2048' });
  const x509 = new X509Certificate(certificate);
  const spki = x509.publicKey.export({ type: 'spki', format: 'der' });
  const pin = {
    name,
    purpose: 'device' as const,
    certificateDigest: await sha256Hex(new Uint8Array(x509.raw)),
    spkiDigest: await sha256Hex(new Uint8Array(spki)),
  };
  const path = join(folder, 'simulated-root.pem');
  writeFileSync(path, certificate);
  return { published: { sources: [], pins: [pin] }, path };
}

/** A self-signed certificate with this topic, and its key, as files. */
export function makePushCertificate(folder: string, topic: string, file: string) {
  const [pushCertificate, pushKey] = [join(folder, `${file}.pem`), join(folder, `${file}-private.pem`)];
  const subject = `/UID=${topic}/CN=APSP`;
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '300', '-subj', subject];
  execFileSync('openssl', [...args, '-keyout', pushKey, '-out', pushCertificate], { stdio: 'ignore' });
  return { pushCertificate, pushKey };
}

/** Everything that is on disk below the folder, as one text. */
export function everythingIn(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}
