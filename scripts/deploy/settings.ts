/**
 * Which variables will be in force: what the command line tells, else what the deployment has, else what
 * `wrangler.toml` says. They are judged by the Worker's own `readConfig`, and by what enrolled devices hold of them:
 * a profile keeps the server's address and the push topic it was made with.
 */
import '../local/uint8array.ts';
import { readConfig } from '../../src/config.ts';
import { Fault } from '../../src/std/outcome.ts';
import type { Choices, Transport } from './choices.ts';
import { BASE_VARS } from './config.ts';
import type { PushIdentity } from './push-identity.ts';
import { Stop } from './site.ts';
import { BUILD_VARIABLE, type WorkerState } from './worker-state.ts';

export const PLACEHOLDER_TOPIC = BASE_VARS['PUSH_TOPIC'];

export interface SettingsSource {
  readonly choices: Choices;
  readonly worker: WorkerState;
  readonly push: PushIdentity | null;
  /** The account's own host, for a deployment that is told no other; `null` when it has none. */
  readonly workersDevUrl: string | null;
}

export async function settle(source: SettingsSource): Promise<Readonly<Record<string, string>>> {
  const { choices, worker, push, workersDevUrl } = source;
  const { [BUILD_VARIABLE]: _, ...before } = worker.vars;
  const vars: Record<string, string> = {
    ...BASE_VARS,
    ...before,
    ...choices.vars,
    ENVIRONMENT: 'production',
  };
  if (push !== null) vars['PUSH_TOPIC'] = push.topic;
  vars['PUSH_TRANSPORT'] = transport(source);
  if (before['PUBLIC_URL'] === undefined && choices.vars['PUBLIC_URL'] === undefined) {
    if (workersDevUrl === null) {
      throw new Stop(
        'The account has no workers.dev subdomain, and no other address is told',
        'Choose a subdomain under Workers & Pages in the dashboard, or give --url https://mdm.your-domain.',
      );
    }
    vars['PUBLIC_URL'] = workersDevUrl;
  }
  refuseMoves(vars, before, choices);
  refuseHalfPush(vars, source);
  await refuseFaults(vars);
  return vars;
}

function transport({ choices, worker, push }: SettingsSource): Transport {
  const before = worker.vars['PUSH_TRANSPORT'] as Transport | undefined;
  if (choices.transport !== null) return choices.transport;
  if (before !== undefined && before !== 'log') return before;
  if (push !== null) return 'mtls';
  return choices.vars['RELAY_URL'] === undefined ? 'log' : 'relay';
}

function refuseMoves(
  vars: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>>,
  { accepted }: Choices,
): void {
  for (const [name, what, says] of [
    ['PUBLIC_URL', 'new-url', 'devices go on asking the old address, which is in their profile'],
    ['PUSH_TOPIC', 'new-topic', 'devices can no longer be woken until they enroll again'],
  ] as const) {
    const had = before[name];
    const set = had !== undefined && had !== PLACEHOLDER_TOPIC;
    if (set && had !== vars[name] && !accepted.has(what)) {
      throw new Stop(
        `${name} is ${had} and would become ${vars[name]}: ${says}`,
        `Leave it, or say --accept ${what}.`,
      );
    }
  }
}

function refuseHalfPush(vars: Readonly<Record<string, string>>, source: SettingsSource): void {
  const { choices, worker, push } = source;
  if (vars['PUSH_TRANSPORT'] === 'mtls' && push === null && worker.mtlsCertificateId === null) {
    throw new Stop('PUSH_TRANSPORT is mtls without a certificate', 'Give --push-certificate and --push-key.');
  }
  const relayUrl = vars['RELAY_URL'] ?? '';
  const isHttps = URL.canParse(relayUrl) && new URL(relayUrl).protocol === 'https:';
  if (vars['PUSH_TRANSPORT'] === 'relay' && !isHttps) {
    throw new Stop('PUSH_TRANSPORT is relay without an https address of one', 'Give --relay-url https://….');
  }
  if (vars['PUSH_TOPIC'] === PLACEHOLDER_TOPIC && !choices.accepted.has('no-push')) {
    throw new Stop(
      'There is no push topic: devices that enroll now have to enroll again before they can be woken',
      'Give --push-certificate and --push-key, or --push-topic; for a trial, --accept no-push.',
    );
  }
}

/** Secrets are not known here, or not yet; the Worker reports what is wrong with them, and so does the doctor. */
const NOT_JUDGED = ['ADMIN_KEY', 'CA_CERTIFICATE', 'CA_KEY', 'DEVICE_ANCHORS', 'STORAGE_KEY', 'TOKEN_KEYS'];

async function refuseFaults(vars: Readonly<Record<string, string>>): Promise<void> {
  const faults = await readConfig(vars as unknown as Env).then(
    () => [],
    (error: unknown) => {
      if (error instanceof Fault) return error.message.split('; ');
      throw error;
    },
  );
  const told = faults.filter((fault) => !NOT_JUDGED.some((name) => fault.startsWith(`${name}:`)));
  if (told.length > 0)
    throw new Stop(`The Worker would not take ${told.join('; ')}`, 'Set it right and run again.');
}
