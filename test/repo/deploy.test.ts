/**
 * A deployment into a Cloudflare account, simulated on loopback: the steps and the Wrangler of `npm run deploy`, from
 * nothing, again, after every interruption, and against what an account may already hold.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

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
beforeEach(async () => {
  lab = await startLab(folder);
});
afterEach(() => lab?.cloudflare.stop());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const workerOf = ({ cloudflare }: Lab) => {
  const worker = cloudflare.account.workers.get('lab');
  if (worker === undefined) throw new Error('there is no Worker');
  return worker;
};
const bindingOf = (name: string) => workerOf(lab).bindings.find((binding) => binding.name === name);

async function stopOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    return `${(error as Error).message} | ${(error as { fix?: string }).fix}`;
  }
  return 'it went on';
}

describe('a deployment from nothing', () => {
  it('makes everything, and a second run changes nothing and says so', { timeout: SLOW_MS }, async () => {
    expect(await lab.run()).toEqual({ outcome: 'changed', url: 'https://lab.fake-account.workers.dev' });
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

    const before = structuredClone([...worker.secrets]);
    lab.cloudflare.comeBack();
    lab.told.length = 0;
    expect((await lab.run()).outcome).toBe('unchanged');
    expect(lab.cloudflare.changes).toEqual([]);
    expect(lab.told.at(-1)).toContain('nothing was changed');
    expect([...workerOf(lab).secrets]).toEqual(before);
  });

  it('goes on after an interruption at each of its changes', { timeout: SLOW_MS }, async () => {
    const interrupted = new Set<string>();
    const keep = (key: string) => !interrupted.has(key) && interrupted.add(key) !== undefined;
    const interrupt = (change: Change): 'before' | 'after' | null => {
      const key = keyOf(change);
      if (key === null) return null;
      if (isDirect(change) && keep(`before ${key}`)) return 'before';
      return keep(`after ${key}`) ? 'after' : null;
    };
    const secretsSeen: string[] = [];
    let runs = 0;
    for (; runs < 60; runs++) {
      lab.cloudflare.comeBack(interrupt);
      const stopped = await stopOf(lab.run());
      const caKey = lab.cloudflare.account.workers.get('lab')?.secrets.get('CA_KEY');
      if (caKey !== undefined) secretsSeen.push(caKey);
      if (!lab.cloudflare.away) {
        expect(stopped).toBe('it went on');
        break;
      }
      expect(stopped).toContain('un the same command again; what is done is kept');
    }
    // Every kind of change was cut off, those of Wrangler too.
    expect([...interrupted].sort()).toEqual([
      'after PATCH workers/scripts/lab/secrets-bulk',
      'after POST d1/database',
      'after POST migration 0001_init.sql',
      'after POST migration 0005_uploads.sql',
      'after POST queues',
      'after POST queues/ID/consumers',
      'after POST r2/buckets',
      'after POST storage/kv/namespaces',
      'after POST workers/scripts/lab/subdomain',
      'after PUT workers/scripts/lab',
      'after PUT workers/scripts/lab/schedules',
      'before POST d1/database',
      'before POST queues',
      'before POST r2/buckets',
      'before POST storage/kv/namespaces',
    ]);
    expect(runs).toBe(interrupted.size);
    const { account } = lab.cloudflare;
    expect([account.databases.size, account.namespaces.size, account.queues.length]).toEqual([1, 1, 2]);
    expect(new Set(secretsSeen).size).toBe(1);
    lab.cloudflare.comeBack();
    expect((await lab.run()).outcome).toBe('unchanged');
  });

  it('keeps its keys from the terminal and the disk', { timeout: SLOW_MS }, async () => {
    await lab.run();
    const seen = `${lab.told.join('\n')}\n${everythingIn(folder)}`;
    for (const [name, value] of workerOf(lab).secrets) {
      if (name === 'DEVICE_ANCHORS' || name === 'CA_CERTIFICATE') continue;
      expect(seen.includes(value), name).toBe(false);
      expect(seen.includes(JSON.stringify(value).slice(1, -1)), name).toBe(false);
      expect(seen.includes(value.split('\n')[1] ?? value), name).toBe(false);
    }
    expect(workerOf(lab).secrets.get('ADMIN_KEY')).toBe(ADMIN_KEY);
  });

  it('shows an administrator key that it makes only when asked', { timeout: SLOW_MS }, async () => {
    const nobody = { environment: {} };
    expect(await stopOf(lab.run({}, nobody))).toContain('nobody would learn it');
    expect(lab.cloudflare.changes).toEqual([]);
    await lab.run({ show: { adminKey: true, relayKey: false } }, nobody);
    const made = workerOf(lab).secrets.get('ADMIN_KEY') ?? '';
    expect(lab.told).toContain(`ADMIN_KEY   ${made}`);
    expect(made).toMatch(/^[\w-]{32}$/);
  });

  it.skipIf(!hasOpenssl)('leaves a copy that its owner alone can open', { timeout: SLOW_MS }, async () => {
    const [certificate, key] = [join(folder, 'escrow.pem'), join(folder, 'escrow-private.pem')];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=escrow', '-days', '9'];
    execFileSync('openssl', [...request, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    await lab.run({ escrowTo: certificate });
    const [copy = ''] = readdirSync(join(folder, 'deploy')).filter((name) => name.endsWith('.p7m'));
    const open = ['cms', '-decrypt', '-inform', 'DER', '-in', join(folder, 'deploy', copy), '-inkey', key];
    const opened = JSON.parse(execFileSync('openssl', open, { encoding: 'utf8' }));
    expect(opened).toEqual(Object.fromEntries(workerOf(lab).secrets));
    const other = await startLab(folder);
    await other.run({ secretsFromInput: true }, { readInput: () => JSON.stringify(opened) });
    expect(workerOf(other).secrets.get('CA_KEY')).toBe(opened.CA_KEY);
    await other.cloudflare.stop();
  });

  it('asks first, and changes nothing without an answer', async () => {
    expect((await lab.run({ yes: false })).outcome).toBe('declined');
    expect(lab.cloudflare.changes).toEqual([]);
    expect(lab.told.filter((line) => line.startsWith('CHANGE')).length).toBeGreaterThan(6);
  });
});

/** One name for each kind of change; of the migrations a first and a middle one stand for all. */
function keyOf({ method, path, body }: Change): string | null {
  if (!path.endsWith('/query')) return `${method} ${path.replace(/queues\/[^/]+/, 'queues/ID')}`;
  const name = /'(\d{4}_\w+\.sql)'/.exec(body)?.[1];
  return name === '0001_init.sql' || name === '0005_uploads.sql' ? `${method} migration ${name}` : null;
}

/** Not by Wrangler, which repeats what it does by itself when nothing came of it. */
function isDirect({ method, path }: Change): boolean {
  return method === 'POST' && /^(?:d1\/database|storage|queues|r2)[^/]*(?:\/(?:kv\/namespaces|buckets))?$/.test(path);
}

describe('what is there', () => {
  it('is adopted: no key is replaced, whatever is handed in', { timeout: SLOW_MS }, async () => {
    await lab.run();
    const before = new Map(workerOf(lab).secrets);
    const handed = { STORAGE_KEY: btoa('x'.repeat(32)), ADMIN_KEY: 'another-administrator-key' };
    const over = { readInput: () => JSON.stringify(handed) };
    expect((await lab.run({ secretsFromInput: true }, over)).outcome).toBe('unchanged');
    expect(workerOf(lab).secrets).toEqual(before);
    await lab.run({ newAdminKey: true }, { environment: { ADMIN_KEY: 'a-new-administrator-key' } });
    const after = new Map([...before, ['ADMIN_KEY', 'a-new-administrator-key']]);
    expect(workerOf(lab).secrets).toEqual(after);

    workerOf(lab).secrets.delete('CA_KEY');
    expect(await stopOf(lab.run())).toContain('The Worker has CA_CERTIFICATE without CA_KEY');

    workerOf(lab).secrets.delete('CA_CERTIFICATE');
    const [{ database } = { database: null }] = lab.cloudflare.account.databases.values();
    expect(database?.query(`INSERT INTO devices ${ONE_DEVICE}`, []).status).toBe(200);
    expect(await stopOf(lab.run())).toContain('The database knows 1 devices, and the Worker has no CA_KEY');
  });

  it('changes only where something differs', { timeout: SLOW_MS }, async () => {
    await lab.run();
    lab.cloudflare.comeBack();
    await lab.run({ vars: { ACCESS_RIGHTS: '3' } });
    expect(bindingOf('ACCESS_RIGHTS')).toMatchObject({ text: '3' });
    expect(lab.cloudflare.changes.every(({ path }) => /^workers|^queues\/[^/]+\/consumers/.test(path))).toBe(true);
    lab.cloudflare.comeBack();
    expect((await lab.run()).outcome).toBe('unchanged');
    workerOf(lab).crons = [];
    await lab.run();
    expect(workerOf(lab).crons).toEqual(['*/5 * * * *']);
    expect(bindingOf('ACCESS_RIGHTS')).toMatchObject({ text: '3' });
  });

  it('is not moved to another address by accident', { timeout: SLOW_MS }, async () => {
    const url = 'https://mdm.example.com';
    expect(await stopOf(lab.run({ vars: { PUBLIC_URL: 'https://mdm.example.org' } }))).toContain('No zone');
    await lab.run({ vars: { PUBLIC_URL: url } });
    expect([...lab.cloudflare.account.domains]).toEqual([['mdm.example.com', 'lab']]);
    expect(workerOf(lab).subdomain).toBe(false);
    expect(await lab.run()).toEqual({ outcome: 'unchanged', url });
    const moved = { vars: { PUBLIC_URL: 'https://lab.fake-account.workers.dev' } };
    expect(await stopOf(lab.run(moved))).toContain('PUBLIC_URL is https://mdm.example.com and would become');
  });
});

/** What `devices` requires of a row. */
const ONE_DEVICE =
  "(udid, serial, platform, state, last_seen_ms, revision) VALUES ('0000-1111', 'S1', 'iOS', 'enrolled', 1, 1)";

describe.skipIf(!hasOpenssl)('the push certificate', () => {
  it('is uploaded once, gives the topic, and stays bound', { timeout: SLOW_MS }, async () => {
    const first = makePushCertificate(folder, TOPIC, 'push');
    await lab.run({ ...first, accepted: new Set() });
    const [uploaded] = lab.cloudflare.account.mtls;
    expect(bindingOf('PUSH_TOPIC')).toMatchObject({ text: TOPIC });
    expect(bindingOf('PUSH_TRANSPORT')).toMatchObject({ text: 'mtls' });
    expect(bindingOf('APNS')).toMatchObject({ certificate_id: uploaded?.id });
    expect((await lab.run({ ...first, accepted: new Set() })).outcome).toBe('unchanged');
    expect((await lab.run({ accepted: new Set() })).outcome).toBe('unchanged');

    await lab.run({ ...makePushCertificate(folder, TOPIC, 'renewed'), accepted: new Set() });
    expect(lab.cloudflare.account.mtls).toHaveLength(2);
    expect(bindingOf('APNS')).toMatchObject({ certificate_id: lab.cloudflare.account.mtls[1]?.id });

    const other = makePushCertificate(folder, `${TOPIC}-other`, 'other');
    expect(await stopOf(lab.run(other))).toContain('can no longer be woken until they enroll again');
  });

  it('is refused when it cannot push', async () => {
    const right = makePushCertificate(folder, TOPIC, 'right');
    const wrong = makePushCertificate(folder, 'com.example.app', 'wrong');
    const mixed = { ...right, pushKey: wrong.pushKey };
    expect(await stopOf(lab.run(wrong))).toContain('no UID com.apple.mgmt');
    expect(await stopOf(lab.run(mixed))).toContain('--push-key is not the key of --push-certificate');
    const late = { now: () => new Date(Date.now() + 400 * 24 * 3600 * 1000) };
    expect(await stopOf(lab.run(right, late))).toContain('The push certificate expired');
    expect(lab.cloudflare.received).toEqual([]);
  });
});

describe('a deployment stops before it changes anything', () => {
  it('with trust anchors that Apple does not publish', async () => {
    expect(await stopOf(lab.run({}, { published: APPLE }))).toContain('no authority that Apple publishes');
    expect(lab.cloudflare.changes).toEqual([]);
  });

  it.each<[string, Parameters<Lab['run']>, string]>([
    ['without a push topic', [{ accepted: new Set() }], 'There is no push topic'],
    ['with a relay that has no address', [{ transport: 'relay' }], 'relay without an https address'],
    ['with mTLS and no certificate', [{ transport: 'mtls' }], 'mtls without a certificate'],
    ['with settings that the Worker refuses', [{ vars: { ACCESS_RIGHTS: '2' } }], 'ACCESS_RIGHTS: a sum'],
    ['with half an authority', [{ secretsFromInput: true }, { readInput: () => '{"CA_KEY":"x"}' }], 'go together'],
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
