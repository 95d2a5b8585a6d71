/**
 * What a run would do in an account that has nothing yet, and why, for somebody who has to approve it. No account and
 * no network: it reads `wrangler.toml`, the migrations and the command line, and has Wrangler bundle the Worker.
 */
import type { Choices } from './choices.ts';
import {
  CRONS,
  configFor,
  consumersFor,
  isWorkersDev,
  migrationNames,
  namesFrom,
  REQUIRED_SECRETS,
  stamped,
  writeConfig,
} from './config.ts';
import { day, type PushIdentity, readPushIdentity } from './push-identity.ts';
import { PLACEHOLDER_TOPIC, settle } from './settings.ts';
import { type Site, Stop } from './site.ts';
import type { WorkerState } from './worker-state.ts';
import { Wrangler } from './wrangler.ts';

const NOTHING: WorkerState = {
  exists: false,
  deployed: false,
  vars: {},
  secrets: new Set(),
  hasPackages: false,
  mtlsCertificateId: null,
};

export async function plan(choices: Choices, now: Date): Promise<string> {
  const push = readPush(choices, now);
  const names = namesFrom(choices.name);
  const workersDevUrl = `https://${names.worker}.your-subdomain.workers.dev`;
  const source = { choices, worker: NOTHING, push, workersDevUrl };
  const needs: string[] = [];
  const vars = await settle(source).catch(async (error: unknown) => {
    if (!(error instanceof Stop)) throw error;
    needs.push(`${error.message}. ${error.fix}`);
    return await settle({ ...source, choices: { ...choices, accepted: new Set(['no-push']) } });
  });
  needs.push(...unknowableKeys(choices, vars));
  const size = await bundle(choices, vars);
  const packages = choices.packages ?? true;
  return [
    'The plan for an account that has none of this. Whatever exists is kept, and nothing',
    'is ever removed or emptied. Nothing was asked of any account, and nothing was sent.',
    '',
    ...numbered([
      `Check the login: ${loginSource()}.`,
      `Find or create D1 database ${names.database} and KV namespace ${names.namespace}.`,
      `Find or create queues ${names.queues.join(', ')}.`,
      ...consumersFor(names.worker).map(
        ({ queue, dead_letter_queue, max_retries }) =>
          `  ${queue}: after ${max_retries} retries a message goes to ${dead_letter_queue}.`,
      ),
      packages
        ? `Find or create R2 bucket ${names.bucket}, for packages of apps (--packages no does without).`
        : 'No bucket: packages of apps cannot be uploaded.',
      `Apply ${migrationNames().length} migrations (${migrationNames()[0]} to ${migrationNames().at(-1)}), forward only.`,
      ...pushLines(push, vars),
      ...secretLines(choices, vars),
      `Deploy the Worker (${size}) at ${vars['PUBLIC_URL']}, ${address(vars['PUBLIC_URL'] ?? '')};`,
      `  every ${CRONS.join(', ')} the sweeper; logs on, without request URLs.`,
      'Check what was done, as npm run doctor does.',
    ]),
    '',
    'Variables of the Worker:',
    ...Object.entries(vars).map(([name, value]) => `  ${name} = ${value}`),
    ...(needs.length > 0
      ? ['', 'Still needed, or a run stops before it changes anything:', ...needs.map((one) => `  ${one}`)]
      : []),
  ].join('\n');
}

function readPush({ pushCertificate, pushKey }: Choices, now: Date): PushIdentity | null {
  return pushCertificate === null || pushKey === null
    ? null
    : readPushIdentity(pushCertificate, pushKey, now);
}

/** A line that begins with a space goes on with the one before. */
function numbered(lines: readonly string[]): string[] {
  let number = 0;
  return lines.map((text) =>
    text.startsWith(' ') ? `  ${text}` : `${String(++number).padStart(2)}. ${text}`,
  );
}

function loginSource(): string {
  return process.env['CLOUDFLARE_API_TOKEN']
    ? 'CLOUDFLARE_API_TOKEN is set'
    : 'CLOUDFLARE_API_TOKEN is not set, so that of wrangler login';
}

function address(url: string): string {
  return isWorkersDev(url)
    ? 'on workers.dev'
    : 'a custom domain of a zone in this account; workers.dev is switched off';
}

function pushLines(push: PushIdentity | null, vars: Readonly<Record<string, string>>): string[] {
  const transport = vars['PUSH_TRANSPORT'];
  const uploaded =
    push === null
      ? []
      : [
          `Upload the push certificate and its key as client certificate (${push.topic}, until ${day(push.notAfter)}).`,
        ];
  const says = {
    mtls: 'the Worker pushes to Apple itself, with that client certificate',
    relay: `the Worker pushes through ${vars['RELAY_URL']}`,
    log: 'pushes are only logged: no device is woken',
  }[transport ?? 'log'];
  const topic = vars['PUSH_TOPIC'] === PLACEHOLDER_TOPIC ? '; PUSH_TOPIC is a placeholder' : '';
  return [...uploaded, `PUSH_TRANSPORT = ${transport}: ${says}${topic}.`];
}

function unknowableKeys({ show }: Choices, vars: Readonly<Record<string, string>>): string[] {
  const lacks = (shown: boolean, variable: string) => !shown && !process.env[variable];
  return [
    ...(lacks(show.adminKey, 'ESCAPEMENT_ADMIN_KEY')
      ? ['An administrator key: set ESCAPEMENT_ADMIN_KEY, or say --show-admin-key.']
      : []),
    ...(vars['PUSH_TRANSPORT'] === 'relay' && lacks(show.relayKey, 'ESCAPEMENT_RELAY_KEY')
      ? ['A key for the relay: set ESCAPEMENT_RELAY_KEY, or say --show-relay-key.']
      : []),
  ];
}

function secretLines(choices: Choices, vars: Readonly<Record<string, string>>): string[] {
  const relay = vars['PUSH_TRANSPORT'] === 'relay' && !REQUIRED_SECRETS.includes('RELAY_KEY');
  const shown = choices.show.adminKey ? 'printed once' : 'never printed';
  return [
    'Make what the Worker has not: these keys exist in this process and in Cloudflare alone.',
    '  CA_CERTIFICATE, CA_KEY: authority of device identities, RSA-2048, 10 years, may name no host',
    '  TOKEN_KEYS: P-256, signs pairing tokens. STORAGE_KEY: AES-256, seals secrets in storage',
    `  ADMIN_KEY: ${process.env['ESCAPEMENT_ADMIN_KEY'] ? 'from ESCAPEMENT_ADMIN_KEY' : 'made here'}, ${shown}`,
    ...(relay ? ['  RELAY_KEY: shared with the relay, signs what it is asked'] : []),
    '  DEVICE_ANCHORS: Apple Root CA, taken by its published fingerprint; simulated ones are refused',
    '  They go to wrangler secret bulk by standard input. None is ever written to disk unencrypted.',
    choices.escrowTo === null
      ? '  No copy exists elsewhere: with the Worker the authority is lost (--escrow-to makes one).'
      : `  A copy that only the key of ${choices.escrowTo} opens is written below .escapement/deploy.`,
  ];
}

async function bundle(choices: Choices, vars: Readonly<Record<string, string>>): Promise<string> {
  const site = {
    ...{ choices, vars, names: namesFrom(choices.name), push: null, worker: NOTHING },
    databaseId: '00000000-0000-0000-0000-000000000000',
    namespaceId: '0'.repeat(32),
    mtlsCertificateId: null,
  } satisfies Partial<Site>;
  const path = writeConfig(stamped(configFor(site, choices.packages ?? true)));
  const output = await new Wrangler({}).run(['deploy', '--dry-run', '--config', path]);
  return /gzip: ([\d.]+ \w+)/.exec(output)?.[1]?.concat(' gzipped') ?? 'it builds';
}
