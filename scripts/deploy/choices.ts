/** What the command line says, checked as far as that can be without looking at anything else. */
import { leaveBadUsage, readCommandLine } from '../local/command-line.ts';

export const TRANSPORTS = ['mtls', 'relay', 'log'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** What enrolled devices have in their profile, and what a change of it costs. */
export const ACCEPTABLE = ['new-url', 'new-topic', 'no-push'] as const;
export type Accepted = (typeof ACCEPTABLE)[number];

export interface Choices {
  readonly name: string;
  readonly dryRun: boolean;
  readonly yes: boolean;
  /** Variables that are told, by name; the others stay as they are. */
  readonly vars: Readonly<Record<string, string>>;
  readonly transport: Transport | null;
  readonly pushCertificate: string | null;
  readonly pushKey: string | null;
  readonly packages: boolean | null;
  readonly anchors: string | null;
  readonly escrowTo: string | null;
  readonly secretsFromInput: boolean;
  readonly show: { readonly adminKey: boolean; readonly relayKey: boolean };
  readonly newAdminKey: boolean;
  readonly accepted: ReadonlySet<Accepted>;
}

export const USAGE = `npm run deploy -- [options]

Brings a deployment into being in a Cloudflare account, or up to date: database,
key-value store, queues, bucket, keys, migrations, the Worker. Whatever exists is
kept; a second run changes nothing, and one that was interrupted goes on where it
stopped. Shows what it will change and asks before it does. docs/operations.md

  --dry-run               print the plan and the reasons; no account, no network
  --yes                   do not ask
  --name NAME             of the Worker and of what belongs to it (escapement)
  --url ORIGIN            https://…, as devices reach it. Default: workers.dev
  --organization NAME     what devices show
  --set NAME=VALUE        any other variable of wrangler.toml, as often as needed
  --push-certificate PEM  file: MDM push certificate. Uploaded for client TLS
  --push-key PEM          file, or - for standard input: its unencrypted key
  --push-topic TOPIC      without the certificate here (it is the relay's)
  --push-transport T      mtls, relay or log
  --relay-url URL         where scripts/push-relay answers
  --packages yes|no       a bucket for packages of apps (yes)
  --anchors PEM           Apple's roots, from npm run trust-anchors. Default: fetched
  --escrow-to PEM         a certificate: new keys are also written to a file that
                          only its owner can open
  --secrets-stdin         missing keys from standard input, a JSON object
  --show-admin-key        print the administrator key, when one is made
  --show-relay-key        print the relay's key, when one is made
  --new-admin-key         replace the administrator key
  --accept WHAT           new-url, new-topic: enrolled devices do not follow.
                          no-push: nothing can be woken
  --help

Login: CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID, or wrangler login.
ESCAPEMENT_ADMIN_KEY: the administrator key to set on a first run, and to check with.`;

const NAME = /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/;
const VARIABLE = /^[A-Z][A-Z0-9_]{0,63}$/;
/** They have options of their own, or are not for choosing. */
const NOT_BY_SET = ['ENVIRONMENT', 'PUBLIC_URL', 'ORGANIZATION', 'PUSH_TOPIC', 'PUSH_TRANSPORT', 'RELAY_URL'];

const OPTIONS = {
  'dry-run': { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
  name: { type: 'string', default: 'escapement' },
  url: { type: 'string' },
  organization: { type: 'string' },
  set: { type: 'string', multiple: true, default: [] as string[] },
  'push-certificate': { type: 'string' },
  'push-key': { type: 'string' },
  'push-topic': { type: 'string' },
  'push-transport': { type: 'string' },
  'relay-url': { type: 'string' },
  packages: { type: 'string' },
  anchors: { type: 'string' },
  'escrow-to': { type: 'string' },
  'secrets-stdin': { type: 'boolean', default: false },
  'show-admin-key': { type: 'boolean', default: false },
  'show-relay-key': { type: 'boolean', default: false },
  'new-admin-key': { type: 'boolean', default: false },
  accept: { type: 'string', multiple: true, default: [] as string[] },
} as const;

export function readChoices(): Choices {
  const given = readCommandLine(USAGE, OPTIONS);
  const refuse = (problem: string): never => leaveBadUsage(USAGE, problem);
  if (!NAME.test(given.name)) refuse(`--name ${given.name} is not 2 to 40 of a-z, 0-9 and -`);
  const transport = given['push-transport'] ?? null;
  if (transport !== null && !isOneOf(TRANSPORTS, transport)) refuse('--push-transport is mtls, relay or log');
  if ((given['push-certificate'] === undefined) !== (given['push-key'] === undefined)) {
    refuse('--push-certificate and --push-key go together');
  }
  if (given['push-certificate'] !== undefined && given['push-topic'] !== undefined) {
    refuse('--push-topic is read from --push-certificate');
  }
  if (given['push-key'] === '-' && given['secrets-stdin']) refuse('only one of two can be on standard input');
  if (given.packages !== undefined && !['yes', 'no'].includes(given.packages))
    refuse('--packages is yes or no');
  const strange = given.accept.find((what) => !isOneOf(ACCEPTABLE, what));
  if (strange !== undefined) refuse(`--accept ${strange} is not one of ${ACCEPTABLE.join(', ')}`);
  const told = {
    PUBLIC_URL: given.url?.replace(/\/$/, ''),
    ORGANIZATION: given.organization,
    PUSH_TOPIC: given['push-topic'],
    RELAY_URL: given['relay-url'],
    ...Object.fromEntries(given.set.map((setting) => readSetting(setting, refuse))),
  };
  return {
    name: given.name,
    dryRun: given['dry-run'],
    yes: given.yes,
    vars: Object.fromEntries(
      Object.entries(told).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
    transport: transport as Transport | null,
    pushCertificate: given['push-certificate'] ?? null,
    pushKey: given['push-key'] ?? null,
    packages: given.packages === undefined ? null : given.packages === 'yes',
    anchors: given.anchors ?? null,
    escrowTo: given['escrow-to'] ?? null,
    secretsFromInput: given['secrets-stdin'],
    show: { adminKey: given['show-admin-key'], relayKey: given['show-relay-key'] },
    newAdminKey: given['new-admin-key'],
    accepted: new Set(given.accept as Accepted[]),
  };
}

function readSetting(setting: string, refuse: (problem: string) => never): [string, string] {
  const at = setting.indexOf('=');
  const name = setting.slice(0, Math.max(at, 0));
  if (!VARIABLE.test(name)) refuse(`--set ${setting}: NAME=VALUE is meant`);
  if (NOT_BY_SET.includes(name)) refuse(`--set ${name}: it has an option of its own, or is not for choosing`);
  return [name, setting.slice(at + 1)];
}

function isOneOf<T extends string>(values: readonly T[], value: string): value is T {
  return (values as readonly string[]).includes(value);
}
