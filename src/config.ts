/**
 * The Worker's configuration, read and checked once an isolate. Everything that could be wrong with a deployment
 * and can be told without a request is told here, all of it at once; a Worker with a broken configuration answers
 * 503, and its log and `/healthz` name the settings at fault, never their values.
 */
import { APPLE_ROOT_SPKI_DIGEST, deviceIssuersUnder, findAppleAnchor } from './pki/apple-anchors.ts';
import { type Certificate, parseCertificate } from './pki/certificate.ts';
import { parsePem } from './pki/pem.ts';
import { ACCESS_RIGHTS_ALL, isAccessRights } from './protocol/mdm/access-rights.ts';
import { Fault } from './std/outcome.ts';
import { Secret } from './std/secret.ts';

export interface TrustedIssuer {
  readonly issuer: string;
  readonly jwksUrl: string;
}

export interface Config {
  readonly environment: 'local' | 'production';
  /** Origin without a trailing slash, as devices reach it. */
  readonly publicUrl: string;
  readonly organization: string;
  /** `com.apple.mgmt.…`: the UID in the push certificate's subject. */
  readonly pushTopic: string;
  readonly trustedIssuers: readonly TrustedIssuer[];
  readonly pairingTokenSeconds: number;
  /** What enrollment profiles grant from now on, and by what commands are judged, also of devices that enrolled before. */
  readonly accessRights: number;
  readonly adminKey: Secret<string>;
  readonly caCertificatePem: string;
  readonly caKeyPem: Secret<string>;
  /** Roots that sign device identity certificates. */
  readonly deviceAnchors: readonly Certificate[];
  /**
   * SHA-256 of the keys (SubjectPublicKeyInfo, lower-case hex) of CAs that make device identities: the chain of a
   * MachineInfo must pass through one. Optional setting `DEVICE_ISSUERS`, separated by spaces or commas, in place of
   * Apple's two published device CAs under Apple's anchors, and of a simulated anchor itself under that.
   */
  readonly deviceIssuers: readonly string[];
  /** False when any anchor is not one that Apple publishes. */
  readonly anchorsArePublished: boolean;
  readonly storageKey: Secret<string>;
  readonly tokenKeys: Secret<string>;
}

/** Apple documents `com.apple.mgmt.` and nothing after it. */
const PUSH_TOPIC = /^com\.apple\.mgmt\.[A-Za-z0-9.-]{1,200}$/;
/** Ten minutes by default (design section 2); a day would outlive every challenge. */
const PAIRING_TOKEN_SECONDS = { min: 1, max: 600 } as const;

/** Throws one `Fault` that names every setting at fault. */
export async function readConfig(env: Env): Promise<Config> {
  const faults: string[] = [];
  const check = (name: string, right: boolean, expected: string) => {
    if (!right) faults.push(`${name}: ${expected}`);
  };
  const environment = env.ENVIRONMENT === 'local' ? 'local' : 'production';
  check('ENVIRONMENT', ['local', 'production'].includes(env.ENVIRONMENT), 'local or production');
  check('PUBLIC_URL', isPublicUrl(env.PUBLIC_URL, environment), 'an https origin without path');
  check('ORGANIZATION', /^.{1,64}$/u.test(env.ORGANIZATION ?? ''), '1 to 64 characters');
  check('PUSH_TOPIC', PUSH_TOPIC.test(env.PUSH_TOPIC ?? ''), 'com.apple.mgmt.…');
  for (const name of ['ADMIN_KEY', 'CA_CERTIFICATE', 'CA_KEY', 'STORAGE_KEY', 'TOKEN_KEYS'] as const) {
    check(name, typeof env[name] === 'string' && env[name] !== '', 'is missing');
  }
  const trustedIssuers = readIssuers(env.TRUSTED_ISSUERS, faults);
  const deviceAnchors = readAnchors(env.DEVICE_ANCHORS, faults);
  const published = await Promise.all(deviceAnchors.map(findAppleAnchor));
  const anchorsArePublished =
    published.length > 0 && published.every((anchor) => anchor?.purpose === 'device');
  check(
    'DEVICE_ANCHORS',
    environment === 'local' || anchorsArePublished,
    'production takes only anchors that Apple publishes',
  );
  const issuersUnder = await Promise.all(
    deviceAnchors.map((anchor, n) => deviceIssuersUnder(anchor, published[n] ?? null)),
  );
  const deviceIssuers = readDeviceIssuers(env, faults) ?? [...new Set(issuersUnder.flat())];
  const seconds = Number(env.PAIRING_TOKEN_SECONDS ?? PAIRING_TOKEN_SECONDS.max);
  const { min, max } = PAIRING_TOKEN_SECONDS;
  check(
    'PAIRING_TOKEN_SECONDS',
    Number.isInteger(seconds) && seconds >= min && seconds <= max,
    `${min} to ${max}`,
  );
  const accessRights = configuredRights(env);
  check('ACCESS_RIGHTS', isAccessRights(accessRights), 'a sum of access rights; 2 needs 1, 128 needs 64');
  if (faults.length > 0) throw new Fault('configuration', faults.join('; '));
  return {
    environment,
    publicUrl: env.PUBLIC_URL,
    organization: env.ORGANIZATION,
    pushTopic: env.PUSH_TOPIC,
    trustedIssuers,
    pairingTokenSeconds: seconds,
    accessRights,
    adminKey: new Secret(env.ADMIN_KEY),
    caCertificatePem: env.CA_CERTIFICATE,
    caKeyPem: new Secret(env.CA_KEY),
    deviceAnchors,
    deviceIssuers,
    anchorsArePublished,
    storageKey: new Secret(env.STORAGE_KEY),
    tokenKeys: new Secret(env.TOKEN_KEYS),
  };
}

/** For what is built without the secrets. Throws like `readConfig`. */
export function readAccessRights(env: Env): number {
  const rights = configuredRights(env);
  if (!isAccessRights(rights)) throw new Fault('configuration', 'ACCESS_RIGHTS');
  return rights;
}

/** All of them unless set. */
function configuredRights(env: Env): number {
  return /^\d{1,4}$/.test(env.ACCESS_RIGHTS ?? `${ACCESS_RIGHTS_ALL}`)
    ? Number(env.ACCESS_RIGHTS ?? ACCESS_RIGHTS_ALL)
    : 0;
}

/** https, but for a loopback address while everything is local. */
function isPublicUrl(value: string, environment: Config['environment']): boolean {
  const url = URL.canParse(value ?? '') ? new URL(value) : null;
  if (url === null || url.origin !== value) return false;
  const loopback = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  return url.protocol === 'https:' || (environment === 'local' && url.protocol === 'http:' && loopback);
}

function readIssuers(text: string | undefined, faults: string[]): readonly TrustedIssuer[] {
  try {
    const list: unknown = JSON.parse(text ?? '[]');
    if (Array.isArray(list) && list.every(isIssuer)) return list;
  } catch {
    // Not JSON is reported like JSON of another shape.
  }
  faults.push('TRUSTED_ISSUERS: a JSON array of {"issuer","jwksUrl"} with https URLs');
  return [];
}

function isIssuer(value: unknown): value is TrustedIssuer {
  const { issuer, jwksUrl } = (value ?? {}) as Record<string, unknown>;
  const https = (url: unknown) =>
    typeof url === 'string' && URL.canParse(url) && new URL(url).protocol === 'https:';
  return typeof issuer === 'string' && issuer !== '' && https(jwksUrl);
}

function readAnchors(pem: string | undefined, faults: string[]): readonly Certificate[] {
  const certificates = parsePem(pem ?? '', 'CERTIFICATE').map(parseCertificate);
  if (certificates.length === 0) faults.push('DEVICE_ANCHORS: no PEM certificate');
  return certificates.flatMap((certificate) => {
    if (certificate.ok) return [certificate.value];
    faults.push(`DEVICE_ANCHORS: ${certificate.refusal.reason}`);
    return [];
  });
}

/** Unlike the other settings it need not be declared, so the generated `Env` may not have it. */
type WithDeviceIssuers = Env & { readonly DEVICE_ISSUERS?: string };

/** `null` when nothing is set. */
function readDeviceIssuers(env: WithDeviceIssuers, faults: string[]): readonly string[] | null {
  if (env.DEVICE_ISSUERS === undefined) return null;
  const digests = env.DEVICE_ISSUERS.split(/[\s,]+/).filter((digest) => digest !== '');
  if (digests.length === 0 || !digests.every((digest) => /^[0-9a-f]{64}$/.test(digest))) {
    faults.push('DEVICE_ISSUERS: SHA-256 of public keys, each 64 lower-case hexadecimal digits');
  }
  if (digests.includes(APPLE_ROOT_SPKI_DIGEST)) {
    faults.push('DEVICE_ISSUERS: not Apple Root CA, under which developers have certificates');
  }
  return digests;
}
