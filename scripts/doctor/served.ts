/** What the server says of itself to anyone: its configuration, its authority, its keys, and the devices' doors. */
import { X509Certificate } from 'node:crypto';
import { bad, expiry, type Finding, fine, warning } from './finding.ts';
import { request, strangerIn } from './reach.ts';

/** An authority's successor has to be rolled out by enrolling again: that takes its time. */
const AUTHORITY_WARN_DAYS = 365;
const AUTHORITY_FIX = 'docs/operations.md, "Rotating keys": a new authority means that devices enroll again.';

const FIXES: Readonly<Record<string, string>> = {
  ENVIRONMENT: 'npm run deploy sets it to production.',
  PUBLIC_URL: 'npm run deploy -- --url https://host, without a path.',
  ORGANIZATION: 'npm run deploy -- --organization NAME, 1 to 64 characters.',
  PUSH_TOPIC: 'npm run deploy -- --push-certificate PEM --push-key PEM.',
  DEVICE_ANCHORS: "npm run trust-anchors fetches Apple's; simulated ones are for npm run dev alone.",
  ADMIN_KEY: 'npm run deploy -- --new-admin-key --show-admin-key.',
  CA_CERTIFICATE: 'npm run deploy makes what is missing; what is there is only for you to replace.',
  CA_KEY: 'npm run deploy makes what is missing; what is there is only for you to replace.',
  STORAGE_KEY: 'npm run deploy makes what is missing; what is there is only for you to replace.',
  TOKEN_KEYS: 'npm run deploy makes what is missing; docs/operations.md, "Rotating keys".',
};

export async function judgeHealth(response: Response): Promise<readonly Finding[]> {
  const health = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (health['status'] === 'ok') return [fine('configuration', 'complete'), ...judgeEnvironment(health)];
  const faults = Array.isArray(health['faults']) ? (health['faults'] as string[]) : [];
  if (faults.length > 0) {
    return faults.map((fault) => {
      const name = fault.split(':')[0] ?? '';
      return bad('configuration', fault, FIXES[name] ?? `npm run deploy -- --set ${name}=VALUE.`);
    });
  }
  return [
    bad(
      'configuration',
      `/healthz answers ${response.status} and names no setting`,
      'A key cannot be used, or the Worker fails: npx wrangler tail names the fault.',
    ),
  ];
}

function judgeEnvironment({ environment, anchors }: Record<string, unknown>): readonly Finding[] {
  return [
    environment === 'production'
      ? fine('configuration', 'production')
      : warning('configuration', `ENVIRONMENT is ${environment}`, 'For real devices: npm run deploy.'),
    anchors === 'apple'
      ? fine('configuration', "trust anchors are Apple's")
      : warning(
          'configuration',
          'trust anchors are simulated: no real device gets in',
          FIXES['DEVICE_ANCHORS'] ?? '',
        ),
  ];
}

export async function judgeAuthority(url: string, nowMs: number): Promise<readonly Finding[]> {
  const answer = await request(`${url}/scep?operation=GetCACert`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  const certificate = answer.ok ? parse(bytes) : null;
  if (certificate === null) {
    return [
      bad(
        'certificates',
        `SCEP gives no authority (${answer.status})`,
        'CA_CERTIFICATE: npx wrangler tail names the fault.',
      ),
    ];
  }
  const name = certificate.subject.split('\n').at(-1) ?? '';
  const dated = expiry(
    `authority ${name}`,
    Date.parse(certificate.validTo),
    nowMs,
    AUTHORITY_WARN_DAYS,
    AUTHORITY_FIX,
  );
  return [
    dated,
    certificate.ca
      ? fine(
          'certificates',
          `authority SHA-256 ${certificate.fingerprint256.replaceAll(':', '').toLowerCase()}`,
        )
      : bad('certificates', 'what SCEP gives is no authority', AUTHORITY_FIX),
  ];
}

function parse(bytes: Buffer): X509Certificate | null {
  try {
    return new X509Certificate(bytes);
  } catch {
    return null;
  }
}

export async function judgeTokenKeys(url: string): Promise<Finding> {
  const answer = await request(`${url}/.well-known/escapement/jwks.json`);
  const { keys } = (await answer.json().catch(() => ({}))) as { keys?: Record<string, unknown>[] };
  if (!Array.isArray(keys) || keys.length === 0) {
    return bad(
      'certificates',
      'no key of pairing tokens is published',
      'TOKEN_KEYS: npx wrangler tail names the fault.',
    );
  }
  if (keys.some((key) => 'd' in key)) {
    return bad('certificates', 'a PRIVATE key is published', 'Replace TOKEN_KEYS now, and report this.');
  }
  return fine('certificates', `${keys.length} key of pairing tokens published`);
}

/** Each answers an empty message by refusing it; whatever else answers is in the devices' way. */
const DOORS = [
  ['PUT', '/mdm/checkin'],
  ['PUT', '/mdm/connect'],
  ['POST', '/enroll/watch'],
  ['POST', '/enroll/phone'],
] as const;

export async function judgeDoors(url: string): Promise<Finding> {
  for (const [method, path] of DOORS) {
    const answer = await request(`${url}${path}`, { method, body: new Uint8Array(0) });
    const stranger = strangerIn(answer);
    if (stranger !== null) return { ...stranger, says: `${method} ${path}: ${stranger.says}` };
    if (![400, 403, 415].includes(answer.status)) {
      return bad(
        'reachability',
        `${method} ${path} answers an empty message with ${answer.status}`,
        'It should refuse it with 400: look for rules on this host, then at npx wrangler tail.',
      );
    }
  }
  return fine('reachability', "the devices' doors answer, and nothing stands before them");
}
