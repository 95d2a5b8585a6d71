/**
 * The relay and the simulated APNs as processes of their own, killed in the middle of work and started again. What
 * APNs took is in its journal, written before each answer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../scripts/local/ports.ts';
import { startRelay } from '../../scripts/push-relay/relay.ts';
import {
  health,
  KEY,
  makePushes,
  type Push,
  post,
  push,
  QUICK,
  RecordedLog,
  requestOf,
  settingsFor,
  TOPIC,
  tally,
  until,
} from './push-relay.ts';
import { root } from './source.ts';

let folder: string;
let apnsPort: number;
let relayPort: number;
const children: ChildProcess[] = [];

interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly lines: () => Record<string, unknown>[];
  readonly text: () => string;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'escapement-relay-'));
  [apnsPort, relayPort] = [await freePort(), await freePort()];
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function start(args: readonly string[], env: Record<string, string> = {}): Program {
  const child = spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'pipe' });
  children.push(child);
  let text = '';
  child.stdout?.on('data', (chunk) => (text += chunk));
  child.stderr?.on('data', (chunk) => (text += chunk));
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  const lines = () =>
    text
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
  return { child, ended, lines, text: () => text };
}

async function startApns(...more: string[]): Promise<Program & { readonly controlUrl: string }> {
  const args = ['test/simulator/apns/main.ts', folder, '--port', String(apnsPort), '--topic', TOPIC, ...more];
  const program = start(args);
  await until(() => program.lines().length > 0, `the simulated APNs: ${program.text()}`);
  return { ...program, controlUrl: String(program.lines()[0]?.['controlUrl']) };
}

async function startRelayProcess(...nodeArgs: string[]): Promise<Program> {
  const program = start([...nodeArgs, 'scripts/push-relay/main.ts'], {
    RELAY_CERTIFICATE_FILE: join(folder, 'push.pem'),
    RELAY_CERTIFICATE_KEY_FILE: join(folder, 'push-key.pem'),
    RELAY_APNS_CA_FILE: join(folder, 'ca.pem'),
    RELAY_APNS_HOST: 'localhost',
    RELAY_APNS_PORT: String(apnsPort),
    RELAY_KEY: KEY.toString('base64'),
    RELAY_PORT: String(relayPort),
  });
  await until(() => program.lines().some(({ event }) => event === 'started'), 'the relay');
  await until(async () => (await health(relayPort)).body['connected'] === true, 'its connection');
  return program;
}

async function tell(controlUrl: string, path: string, body: object): Promise<void> {
  const response = await fetch(`${controlUrl}${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (response.status !== 200) throw new Error(`${path}: ${response.status}`);
}

/** `apns-id` to how often it was taken. */
function journal(): Map<string, number> {
  const path = join(folder, 'accepted.txt');
  const taken = new Map<string, number>();
  for (const id of existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []) {
    taken.set(id, (taken.get(id) ?? 0) + 1);
  }
  return taken;
}

describe('APNs killed and started again', () => {
  it('in the middle of 500 pushes leaves each answered once, and the rest go through later', async () => {
    const first = await startApns();
    await startRelayProcess();
    await tell(first.controlUrl, '/answer-delay', { delayMs: 200 });
    const slow = makePushes(500);
    const asked = push(relayPort, slow);
    const counts = async () =>
      (await (await fetch(`${first.controlUrl}/counts`)).json()) as { requests: number };
    await until(async () => (await counts()).requests > 50, 'pushes under way');
    first.child.kill('SIGKILL');
    const results = await asked;
    const taken = journal();
    for (const { id, status, reason } of results) {
      if (status === 200) expect(taken.get(id)).toBe(1);
      else expect([status, reason]).toEqual([0, 'transport-down']);
    }
    await first.ended;
    await startApns();
    const unknown = slow.filter((_, at) => results[at]?.status !== 200);
    expect(unknown.length).toBeGreaterThan(0);
    expect(tally(await push(relayPort, unknown))).toEqual({ '200': unknown.length });
    for (const { id } of slow) expect(journal().get(id) ?? 0).toBeGreaterThan(0);
  });
});

describe('an APNs that stands still', () => {
  it('is found out by PING and left, and pushes go through when it moves again', async () => {
    const apns = await startApns();
    const log = new RecordedLog();
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    const credentials = {
      certificatePem: read('push.pem'),
      keyPem: read('push-key.pem'),
      caPem: read('ca.pem'),
    };
    const relay = await startRelay(settingsFor(apnsPort, { credentials, pushTimeoutMs: 2000 }), log, QUICK);
    expect(tally(await push(relay.port, makePushes(1)))).toEqual({ '200': 1 });
    apns.child.kill('SIGSTOP');
    expect(tally(await push(relay.port, makePushes(3)))).toEqual({ '0 timeout': 3 });
    const lost = () => log.lines.find(({ name }) => name === 'connection-lost')?.fields.code;
    await until(() => lost() !== undefined, 'the connection to be given up');
    expect(lost()).toBe('ping-timeout');
    apns.child.kill('SIGCONT');
    await until(async () => (await health(relay.port)).body['connected'] === true, 'a new connection');
    expect(tally(await push(relay.port, makePushes(100)))).toEqual({ '200': 100 });
    await relay.close();
  });
});

describe('the relay killed and started again', () => {
  it('loses no push that is asked for again, and repeats only what was not answered for', async () => {
    const apns = await startApns('--max-streams', '50');
    const first = await startRelayProcess();
    await tell(apns.controlUrl, '/answer-delay', { delayMs: 20 });
    const done = makePushes(100);
    expect(tally(await push(relayPort, done))).toEqual({ '200': 100 });
    const open = makePushes(500);
    const asked = push(relayPort, open).then(
      () => 'answered',
      () => 'broken',
    );
    await until(() => journal().size > 150, 'pushes under way');
    first.child.kill('SIGKILL');
    expect(await asked).toBe('broken');
    await first.ended;
    await startRelayProcess();
    expect(tally(await push(relayPort, open))).toEqual({ '200': 500 });
    const taken = journal();
    expect(taken.size).toBe(600);
    for (const { id } of done) expect(taken.get(id)).toBe(1);
  });
});

describe('the relay told to stop', () => {
  it('answers what it took in, refuses the rest with 503, and ends with 0', async () => {
    const apns = await startApns('--max-streams', '20');
    const relay = await startRelayProcess();
    await tell(apns.controlUrl, '/answer-delay', { delayMs: 50 });
    const pushes = makePushes(500);
    const asked = push(relayPort, pushes);
    await until(() => journal().size > 20, 'pushes under way');
    relay.child.kill('SIGTERM');
    await until(() => relay.lines().some(({ event }) => event === 'stopping'), 'the relay to stop');
    const late = await post(relayPort, JSON.stringify(requestOf(makePushes(1))));
    expect([late.status, late.body.kind]).toEqual([503, 'stopping']);
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(tally(await asked)).toEqual({ '200': 500 });
    expect(await relay.ended).toBe(0);
    expect(journal().size).toBe(500);
    expectNoSecrets(relay.text(), pushes);
  });

  it('and told again ends at once', async () => {
    const apns = await startApns();
    const relay = await startRelayProcess();
    await tell(apns.controlUrl, '/behaviors', { token: '*', behavior: { kind: 'silent' } });
    const asked = push(relayPort, makePushes(1)).catch(() => 'broken');
    await until(async () => Number((await health(relayPort)).body['inFlight']) > 0, 'the push');
    relay.child.kill('SIGINT');
    await until(() => relay.lines().some(({ event }) => event === 'stopping'), 'the relay to stop');
    relay.child.kill('SIGINT');
    expect(await relay.ended).toBe(1);
    expect(await asked).toBe('broken');
  });

  it('is not started by settings that cannot work, and says which', async () => {
    const relay = start(['scripts/push-relay/main.ts'], {
      RELAY_CERTIFICATE: 'x',
      RELAY_CERTIFICATE_KEY: 'y',
    });
    expect(await relay.ended).toBe(2);
    expect(relay.text()).toContain('RELAY_KEY_FILE (or RELAY_KEY) is not set');
  });
});

describe('10,000 pushes', () => {
  it('are all answered for by a relay with 32 MB of heap, four requests at a time', async () => {
    await startApns();
    const relay = await startRelayProcess('--max-old-space-size=64', '--max-semi-space-size=2');
    const before = await residentMegabytes(relay);
    const batches = Array.from({ length: 20 }, () => makePushes(500));
    const waiting = batches.values();
    const worker = async () => {
      for (const batch of waiting) expect(tally(await push(relayPort, batch))).toEqual({ '200': 500 });
    };
    await Promise.all(Array.from({ length: 4 }, worker));
    const taken = journal();
    expect(taken.size).toBe(10_000);
    expect([...taken.values()].every((times) => times === 1)).toBe(true);
    expect((await health(relayPort)).body).toMatchObject({ inFlight: 0, sent: 10_000, failed: 0 });
    if (before !== null)
      console.log(`resident memory: ${before} MB before, ${await residentMegabytes(relay)} MB after`);
    expectNoSecrets(relay.text(), batches.flat());
  });
});

/** Resident MB, where the system tells. */
async function residentMegabytes({ child }: Program): Promise<number | null> {
  const path = `/proc/${child.pid}/status`;
  if (!existsSync(path)) return null;
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(path, 'utf8'))?.[1]) / 1024);
}

function expectNoSecrets(text: string, pushes: readonly Push[]): void {
  expect(text).toContain('"event":"push-request"');
  expect(pushes.filter(({ token, magic }) => text.includes(token) || text.includes(magic))).toEqual([]);
  expect(text).not.toContain(KEY.toString('base64'));
  expect(text).not.toContain('PRIVATE KEY');
}
