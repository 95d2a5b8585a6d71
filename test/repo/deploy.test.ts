/**
 * A deployment into a Cloudflare account, simulated on loopback: the steps and the Wrangler of `npm run deploy`, from
 * nothing, again, after every interruption, and against what an account may already hold.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

const folder = vi.hoisted(() => {
  const { mkdtempSync } = process.getBuiltinModule('node:fs');
  const { tmpdir } = process.getBuiltinModule('node:os');
  process.env['ESCAPEMENT_FOLDER'] = mkdtempSync(`${tmpdir()}/escapement-deploy-`);
  return process.env['ESCAPEMENT_FOLDER'];
});

import { APPLE } from '../../scripts/trust-anchors/anchors.ts';
import type { Change } from '../simulator/cloudflare/server.ts';
import {
  ADMIN_KEY,
  everythingIn,
  type Lab,
  makePushCertificate,
  startLab,
} from '../support/cloudflare-deployment.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const TOPIC = 'com.apple.mgmt.External.11111111-2222-3333-4444-555555555555';
const SECRETS = ['ADMIN_KEY', 'CA_CERTIFICATE', 'CA_KEY', 'DEVICE_ANCHORS', 'STORAGE_KEY', 'TOKEN_KEYS'];
const SLOW_MS = 300_000;

let lab: Lab;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bindingOf = (name: string) => workerOf(lab).bindings.find((binding) => binding.name === name);

function workerOf({ cloudflare }: Lab) {
  const worker = cloudflare.account.workers.get('lab');
  if (worker === undefined) throw new Error('there is no Worker');
  return worker;
}

async function stopOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    return `${(error as Error).message} | ${(error as { fix?: string }).fix}`;
  }
  return 'it went on';
}

/** One story: each of its tests goes on from the account that the one before left. */
describe('a deployment', () => {
  beforeAll(async () => {
    lab = await startLab(folder);
  });
  afterAll(() => lab.cloudflare.stop());
  const nobody = { environment: {} };

  it('makes no administrator key that nobody would learn', async () => {
    expect(await stopOf(lab.run({}, nobody))).toContain('nobody would learn it');
    expect(lab.cloudflare.changes).toEqual([]);
  });

  it('asks first, and changes nothing without an answer', async () => {
    expect((await lab.run({ yes: false })).outcome).toBe('declined');
    expect(lab.cloudflare.changes).toEqual([]);
    expect(lab.told.filter((line) => line.startsWith('CHANGE')).length).toBeGreaterThan(6);
  });

  it('makes everything from nothing', { timeout: SLOW_MS }, async () => {
    const escrow = hasOpenssl ? { escrowTo: escrowCertificate() } : {};
    const shown = { adminKey: true, relayKey: false };
    const url = 'https://lab.fake-account.workers.dev';
    expect(await lab.run({ show: shown, ...escrow }, nobody)).toEqual({ outcome: 'changed', url });
    const { account } = lab.cloudflare;
    const [{ name, database } = { name: '', database: null }] = account.databases.values();
    const tables = database?.query("SELECT count(*) AS n FROM sqlite_master WHERE name = 'devices'", []);
    expect([name, tables?.result]).toMatchObject(['lab', [{ results: [{ n: 1 }] }]]);
    expect([...account.namespaces.values()]).toEqual(['lab-rendered']);
    expect(account.queues.map((queue) => queue.queue_name)).toEqual(['lab-fanout', 'lab-fanout-dead']);
    expect(account.queues[0]?.consumers).toMatchObject([
      { script: 'lab', dead_letter_queue: 'lab-fanout-dead' },
    ]);
    expect([...account.buckets]).toEqual(['lab-packages']);
    const worker = workerOf(lab);
    expect([...worker.secrets.keys()].sort()).toEqual(SECRETS);
    expect(worker).toMatchObject({ subdomain: true, crons: ['*/5 * * * *'], migrationTag: 'v1' });
    expect(bindingOf('ENVIRONMENT')).toMatchObject({ text: 'production' });
    expect(bindingOf('DB')).toMatchObject({ id: [...account.databases.keys()][0] });
  });

  it('keeps its keys from the disk, and from the terminal all but the one that was asked for', () => {
    const { secrets } = workerOf(lab);
    expect(lab.told.filter((line) => line === `ADMIN_KEY   ${secrets.get('ADMIN_KEY')}`)).toHaveLength(1);
    const disk = everythingIn(folder);
    const told = lab.told.filter((line) => !line.startsWith('ADMIN_KEY')).join('\n');
    for (const name of ['ADMIN_KEY', 'CA_KEY', 'STORAGE_KEY', 'TOKEN_KEYS']) {
      const value = secrets.get(name) ?? '';
      for (const form of [value, JSON.stringify(value).slice(1, -1), value.split('\n')[1] ?? value]) {
        expect(form.length, name).toBeGreaterThan(16);
        expect(disk.includes(form), name).toBe(false);
        expect(told.includes(form), name).toBe(false);
      }
    }
  });

  it.skipIf(!hasOpenssl)('leaves a copy of its keys that its owner alone opens, and takes back', async () => {
    const [copy = ''] = readdirSync(join(folder, 'deploy')).filter((name) => name.endsWith('.p7m'));
    const args = ['cms', '-decrypt', '-inform', 'DER', '-in', join(folder, 'deploy', copy)];
    const key = join(folder, 'escrow-private.pem');
    const opened = execFileSync('openssl', [...args, '-inkey', key], { encoding: 'utf8' });
    expect(JSON.parse(opened)).toEqual(Object.fromEntries(workerOf(lab).secrets));
    const other = await startLab(folder);
    const over = { published: lab.published, environment: {}, readInput: () => opened };
    await other.run({ secretsFromInput: true, yes: false }, over);
    await other.cloudflare.stop();
    process.env['CLOUDFLARE_API_BASE_URL'] = lab.cloudflare.url;
    expect(other.told.join('\n')).toMatch(/CHANGE {3}take .*CA_KEY.*store them as secrets/);
    expect(other.told.join('\n')).not.toContain('make ');
  });

  it('run a second time changes nothing and says so', async () => {
    lab.cloudflare.comeBack();
    lab.told.length = 0;
    expect((await lab.run({}, nobody)).outcome).toBe('unchanged');
    expect(lab.cloudflare.changes).toEqual([]);
    expect(lab.told.at(-1)).toContain('nothing was changed');
  });

  it('replaces no key that is there, whatever is handed in', { timeout: SLOW_MS }, async () => {
    const before = new Map(workerOf(lab).secrets);
    const handed = { STORAGE_KEY: btoa('x'.repeat(32)), ADMIN_KEY: 'another-administrator-key' };
    const over = { readInput: () => JSON.stringify(handed) };
    expect((await lab.run({ secretsFromInput: true }, over)).outcome).toBe('unchanged');
    expect(workerOf(lab).secrets).toEqual(before);
    await lab.run({ newAdminKey: true });
    expect(workerOf(lab).secrets).toEqual(new Map([...before, ['ADMIN_KEY', ADMIN_KEY]]));
  });

  it('changes only what differs, and keeps what it was told before', { timeout: SLOW_MS }, async () => {
    lab.cloudflare.comeBack();
    workerOf(lab).crons = [];
    await lab.run({ vars: { ACCESS_RIGHTS: '3' } });
    expect(workerOf(lab).crons).toEqual(['*/5 * * * *']);
    expect(bindingOf('ACCESS_RIGHTS')).toMatchObject({ text: '3' });
    const elsewhere = lab.cloudflare.changes.filter(({ path }) => !/^workers|\/consumers/.test(path));
    expect(elsewhere).toEqual([]);
    expect((await lab.run()).outcome).toBe('unchanged');
    workerOf(lab).crons = [];
    lab.told.length = 0;
    await lab.run({ yes: false });
    expect(lab.told.filter((line) => line.startsWith('CHANGE'))).toEqual([
      'CHANGE   deploy Worker lab at https://lab.fake-account.workers.dev (no schedule)',
    ]);
  });

  it('is not moved to another address by accident', async () => {
    const moved = { vars: { PUBLIC_URL: 'https://mdm.example.com' } };
    expect(await stopOf(lab.run(moved))).toContain('and would become https://mdm.example.com');
    const accepted = new Set(['new-url', 'no-push'] as const);
    expect((await lab.run({ ...moved, accepted, yes: false })).outcome).toBe('declined');
    const foreign = { vars: { PUBLIC_URL: 'https://mdm.example.org' }, accepted };
    expect(await stopOf(lab.run(foreign))).toContain('No zone of this account has mdm.example.org');
  });

  it('makes up no authority where devices enrolled under another', async () => {
    workerOf(lab).secrets.delete('CA_KEY');
    expect(await stopOf(lab.run())).toContain('The Worker has CA_CERTIFICATE without CA_KEY');
    workerOf(lab).secrets.delete('CA_CERTIFICATE');
    const [{ database } = { database: null }] = lab.cloudflare.account.databases.values();
    expect(database?.query(`INSERT INTO devices ${ONE_DEVICE}`, []).status).toBe(200);
    expect(await stopOf(lab.run())).toContain('The database knows 1 devices, and the Worker has no CA_KEY');
  });
});

/** What `devices` requires of a row. */
const ONE_DEVICE =
  "(udid, serial, platform, state, last_seen_ms, revision) VALUES ('0000-1111', 'S1', 'iOS', 'enrolled', 1, 1)";

function escrowCertificate(): string {
  const [certificate, key] = [join(folder, 'escrow.pem'), join(folder, 'escrow-private.pem')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=escrow', '-days', '9'];
  execFileSync('openssl', [...request, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  return certificate;
}

describe.skipIf(!hasOpenssl)('a deployment that is cut off', () => {
  let push: { pushCertificate: string; pushKey: string };
  const own = { vars: { PUBLIC_URL: 'https://mdm.example.com' }, accepted: new Set<never>() };
  beforeAll(async () => {
    lab = await startLab(folder);
    push = makePushCertificate(folder, TOPIC, 'push');
  });
  afterAll(() => lab.cloudflare.stop());

  it('goes on after an interruption at each of its changes', { timeout: SLOW_MS }, async () => {
    const cut = new Set<string>();
    const first = (key: string) => !cut.has(key) && cut.add(key).has(key);
    const keysSeen = new Set<string>();
    let runs = 0;
    for (; runs < 40; runs++) {
      lab.cloudflare.comeBack((change) => {
        const key = keyOf(change);
        if (key === null) return null;
        if (isDirect(change) && first(`before ${key}`)) return 'before';
        return first(`after ${key}`) ? 'after' : null;
      });
      const stopped = await stopOf(lab.run({ ...own, ...push }));
      const caKey = lab.cloudflare.account.workers.get('lab')?.secrets.get('CA_KEY');
      if (caKey !== undefined) keysSeen.add(caKey);
      if (!lab.cloudflare.away) {
        expect(stopped).toBe('it went on');
        break;
      }
      expect(stopped).toContain('un the same command again; what is done is kept');
    }
    expect([...cut].sort()).toEqual(CUTS);
    expect(runs).toBe(cut.size);
    const { databases, namespaces, queues, mtls } = lab.cloudflare.account;
    expect([databases.size, namespaces.size, queues.length, mtls.length]).toEqual([1, 1, 2, 1]);
    expect(keysSeen.size).toBe(1);
    expect((await lab.run({ ...own, ...push })).outcome).toBe('unchanged');
  });

  it('has its own domain and no other address', async () => {
    expect([...lab.cloudflare.account.domains]).toEqual([['mdm.example.com', 'lab']]);
    expect(workerOf(lab).subdomain).toBe(false);
  });

  it('keeps the push certificate, and takes the same one renewed', async () => {
    const [uploaded] = lab.cloudflare.account.mtls;
    expect(bindingOf('PUSH_TOPIC')).toMatchObject({ text: TOPIC });
    expect(bindingOf('PUSH_TRANSPORT')).toMatchObject({ text: 'mtls' });
    expect(bindingOf('APNS')).toMatchObject({ type: 'mtls_certificate', certificate_id: uploaded?.id });
    expect(await lab.run({ accepted: new Set() })).toMatchObject({ outcome: 'unchanged' });
    const renewed = makePushCertificate(folder, TOPIC, 'renewed');
    lab.told.length = 0;
    await lab.run({ ...renewed, yes: false });
    const changes = lab.told.filter((line) => line.startsWith('CHANGE'));
    expect(changes).toEqual([
      expect.stringContaining('upload push certificate'),
      expect.stringContaining('sources or configuration changed'),
    ]);
    const other = makePushCertificate(folder, `${TOPIC}-other`, 'other');
    expect(await stopOf(lab.run(other))).toContain('can no longer be woken until they enroll again');
  });

  it('refuses a push certificate that cannot push, before it asks anybody', async () => {
    const asked = lab.cloudflare.received.length;
    const wrong = makePushCertificate(folder, 'com.example.app', 'wrong');
    expect(await stopOf(lab.run(wrong))).toContain('no UID com.apple.mgmt');
    const mixed = { ...push, pushKey: wrong.pushKey };
    expect(await stopOf(lab.run(mixed))).toContain('--push-key is not the key of --push-certificate');
    const late = { now: () => new Date(Date.now() + 400 * 24 * 3600 * 1000) };
    expect(await stopOf(lab.run(push, late))).toContain('The push certificate expired');
    expect(lab.cloudflare.received.length).toBe(asked);
  });
});

/** One name for each kind of change; of the migrations a first and a middle one stand for all. */
function keyOf({ method, path, body }: Change): string | null {
  if (!path.endsWith('/query')) return `${method} ${path.replace(/queues\/[^/]+/, 'queues/ID')}`;
  const name = /'(\d{4}_\w+\.sql)'/.exec(body)?.[1];
  return name === '0001_init.sql' || name === '0005_uploads.sql' ? `${method} migration ${name}` : null;
}

/** Asked by the script itself; Wrangler's are cut off after they are made, which is the harder case. */
function isDirect({ method, path }: Change): boolean {
  return (
    method === 'POST' &&
    /^(?:d1\/database|storage\/kv\/namespaces|queues|r2\/buckets|mtls_certificates)$/.test(path)
  );
}

const CUTS = [
  'after PATCH workers/scripts/lab/secrets-bulk',
  'after POST d1/database',
  'after POST migration 0001_init.sql',
  'after POST migration 0005_uploads.sql',
  'after POST mtls_certificates',
  'after POST queues',
  'after POST queues/ID/consumers',
  'after POST r2/buckets',
  'after POST storage/kv/namespaces',
  'after POST workers/scripts/lab/subdomain',
  'after PUT workers/scripts/lab',
  'after PUT workers/scripts/lab/domains/records',
  'after PUT workers/scripts/lab/schedules',
  'before POST d1/database',
  'before POST mtls_certificates',
  'before POST queues',
  'before POST r2/buckets',
  'before POST storage/kv/namespaces',
];

describe('a deployment stops before it changes anything', () => {
  beforeEach(async () => {
    lab = await startLab(folder);
  });
  afterEach(() => lab.cloudflare.stop());

  it('with trust anchors that Apple does not publish', async () => {
    expect(await stopOf(lab.run({}, { published: APPLE }))).toContain('no authority that Apple publishes');
    expect(lab.cloudflare.changes).toEqual([]);
  });

  it.each<[string, Parameters<Lab['run']>, string]>([
    ['without a push topic', [{ accepted: new Set() }], 'There is no push topic'],
    ['with a relay that has no address', [{ transport: 'relay' }], 'relay without an https address'],
    ['with mTLS and no certificate', [{ transport: 'mtls' }], 'mtls without a certificate'],
    ['with settings that the Worker refuses', [{ vars: { ACCESS_RIGHTS: '2' } }], 'ACCESS_RIGHTS: a sum'],
    [
      'with half an authority',
      [{ secretsFromInput: true }, { readInput: () => '{"CA_KEY":"x"}' }],
      'go together',
    ],
    ['with keys that cannot serve', [{}, { environment: { ADMIN_KEY: 'short' } }], 'could not serve'],
    [
      'with a login that is not taken',
      [{}, { credentials: async () => ({ token: 'wrong', account: null }) }],
      'wrangler login',
    ],
  ])('%s', async (_what, run, says) => {
    expect(await stopOf(lab.run(...run))).toContain(says);
    expect(lab.cloudflare.changes).toEqual([]);
  });

  it('where R2 is not switched on, unless it is not wanted', async () => {
    lab.cloudflare.account.hasR2 = false;
    expect(await stopOf(lab.run())).toContain('--packages no');
    expect(lab.cloudflare.changes).toEqual([]);
    expect((await lab.run({ packages: false, yes: false })).outcome).toBe('declined');
  });
});
