/**
 * A deployment from nothing, or up to date. Every step looks first; what they would change is shown, and done one after
 * the other when that is agreed to. No step relies on a memory of earlier runs: each finds what it needs in the account
 * by name, so a run that was cut off anywhere is continued by running again.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchAnchors, type PublishedAnchors } from '../trust-anchors/anchors.ts';
import { type CloudflareApi, type Credentials, connect } from './api.ts';
import type { Choices } from './choices.ts';
import { deployFolder, namesFrom, REQUIRED_SECRETS } from './config.ts';
import { readRecipient } from './escrow.ts';
import { type Keys, readKeys } from './keys.ts';
import { migrations } from './migrations.ts';
import { pushCertificate } from './push.ts';
import { readPushIdentity } from './push-identity.ts';
import { bucket, database, namespace, queue } from './resources.ts';
import { RELAY_KEY, secrets } from './secrets.ts';
import { settle } from './settings.ts';
import { type Finding, type Site, type Step, Stop } from './site.ts';
import { worker } from './worker.ts';
import { readWorker } from './worker-state.ts';
import { Wrangler } from './wrangler.ts';

/** Everything outside the account and the choices. */
export interface World {
  credentials(): Promise<Credentials>;
  readonly published: PublishedAnchors;
  /** What `ESCAPEMENT_ADMIN_KEY` and `ESCAPEMENT_RELAY_KEY` say. */
  readonly environment: Keys;
  readInput(): string;
  now(): Date;
  tell(line: string): void;
  confirm(question: string): Promise<boolean>;
}

export interface Deployed {
  readonly outcome: 'unchanged' | 'changed' | 'declined';
  readonly url: string;
}

export async function deploy(choices: Choices, world: World): Promise<Deployed> {
  const site = await openSite(choices, world);
  const steps = stepsFor(choices, world, site);
  site.tell(`Account ${site.api.account}, Worker ${site.names.worker}\n`);
  const due: Step[] = [];
  for (const step of steps) {
    const finding = await step.look(site);
    site.tell(line(finding));
    if (finding.kind === 'change') due.push(step);
  }
  const url = site.vars['PUBLIC_URL'] ?? '';
  if (due.length === 0) {
    site.tell('\nEverything is as it should be: nothing was changed.');
    return { outcome: 'unchanged', url };
  }
  site.tell('');
  if (!choices.yes && !(await world.confirm(`Make these ${due.length} changes?`))) {
    return { outcome: 'declined', url };
  }
  for (const step of due) await take(step, site);
  return { outcome: 'changed', url };
}

/** Looks again: an earlier step may have made what this one needs, and somebody else may have been here. */
async function take(step: Step, site: Site): Promise<void> {
  site.worker = await readWorker(site.api, site.names.worker);
  const finding = await step.look(site);
  if (finding.kind === 'change') await finding.act();
  site.tell(`done     ${finding.what}`);
}

function line({ kind, what }: Finding): string {
  return `${kind === 'kept' ? 'keep  ' : 'CHANGE'}   ${what}`;
}

async function openSite(choices: Choices, world: World): Promise<Site> {
  const { pushCertificate: certificate, pushKey } = choices;
  const push =
    certificate === null || pushKey === null ? null : readPushIdentity(certificate, pushKey, world.now());
  const api = await connect(await world.credentials());
  const names = namesFrom(choices.name);
  const state = await readWorker(api, names.worker);
  const site: Site = {
    ...{ choices, names, api, push },
    wrangler: new Wrangler(api.environment()),
    worker: state,
    vars: {},
    databaseId: null,
    namespaceId: null,
    mtlsCertificateId: null,
    tell: world.tell,
  };
  const workersDevUrl = await workersDev(api, names.worker);
  site.vars = await settle({ choices, worker: state, push, workersDevUrl });
  return site;
}

async function workersDev(api: CloudflareApi, name: string): Promise<string | null> {
  const answer = await api.find('workers/subdomain', 'Workers Scripts: Edit');
  const subdomain = (answer as { subdomain?: string } | null)?.subdomain;
  return subdomain === undefined ? null : `https://${name}.${subdomain}.workers.dev`;
}

function stepsFor(choices: Choices, world: World, site: Site): readonly Step[] {
  const known = [...REQUIRED_SECRETS, RELAY_KEY];
  const piped = choices.secretsFromInput ? readKeys(world.readInput(), known) : {};
  return [
    database,
    namespace,
    ...site.names.queues.map(queue),
    bucket,
    migrations,
    pushCertificate,
    secrets({
      provided: { ...piped, ...world.environment },
      recipient: choices.escrowTo === null ? null : readRecipient(choices.escrowTo),
      pins: world.published.pins,
      anchors: () => anchorsFrom(choices, world),
    }),
    worker,
  ];
}

/** From the file that is named, from what `npm run trust-anchors` left, or from Apple. */
async function anchorsFrom({ anchors }: Choices, { published }: World): Promise<string> {
  const usual = join(deployFolder, 'device-anchors.pem');
  const path = anchors ?? (existsSync(usual) ? usual : null);
  if (path === null) return await fetchAnchors(published);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Stop(`--anchors cannot be read (${(error as NodeJS.ErrnoException).code})`, 'Check the path.');
  }
}
