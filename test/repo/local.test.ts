/**
 * The commands that people start with, run as they run them: `dev` keeps a server that devices reach over real
 * HTTP and that survives a restart; `demo` shows the whole enrollment and fits its page.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AdminClient } from '../../scripts/local/admin-client.ts';
import { commandOf, end, type RunningProcess } from '../../scripts/local/processes.ts';
import { createWorld, SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import { root } from './source.ts';

const folder = mkdtempSync(join(tmpdir(), 'escapement-'));
const env = { ...process.env, ESCAPEMENT_FOLDER: folder, NO_COLOR: '1' } as NodeJS.ProcessEnv;
const running: ChildProcess[] = [];
const orphans: RunningProcess[] = [];
/** Past what any kernel gives out. */
const NO_PID = 2 ** 30;

afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  for (const orphan of orphans) await end(orphan);
  rmSync(folder, { recursive: true, force: true });
});

interface Dev {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly output: () => string;
}

function startDev(...args: string[]): Dev {
  return start('dev', ...args);
}

function start(script: string, ...args: string[]): Dev {
  const child = spawn(process.execPath, [`scripts/${script}.ts`, ...args], { cwd: root, env, stdio: 'pipe' });
  running.push(child);
  let output = '';
  child.stdout?.on('data', (chunk) => (output += chunk));
  child.stderr?.on('data', (chunk) => (output += chunk));
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  return { child, ended, output: () => output };
}

interface DevFile {
  readonly url: string;
  readonly adminKey: string;
  readonly deviceCa: { readonly certificate: string; readonly key: string };
  readonly attestationCa: { readonly certificate: string; readonly key: string };
}

async function devFile(dev: Dev): Promise<DevFile> {
  await untilOutput(dev, 'Ctrl-C');
  return JSON.parse(readFileSync(join(folder, 'dev.json'), 'utf8'));
}

async function untilOutput(dev: Dev, text: string): Promise<void> {
  for (let waited = 0; waited < 45_000; waited += 100) {
    if (dev.output().includes(text)) return;
    if (dev.child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`it did not say “${text}”:\n${dev.output()}`);
}

function worldOf({ url, deviceCa }: DevFile) {
  const pem = (path: string) => readFileSync(join(root, path), 'utf8');
  return createWorld({
    baseUrl: url,
    deviceCa: { certificatePem: pem(deviceCa.certificate), keyPem: pem(deviceCa.key) },
    seed: 1,
  });
}

describe('npm run dev', () => {
  it('serves a watch enrollment over HTTP, refuses a second run, and remembers after a restart', async () => {
    const first = startDev();
    const file = await devFile(first);
    expect(Object.keys(file)).toEqual(['url', 'adminKey', 'deviceCa', 'attestationCa']);
    expect(first.output()).toContain('SIMULATED');
    expect(first.output()).toContain(file.adminKey);
    for (const path of [file.deviceCa.key, file.attestationCa.key]) {
      expect(statSync(join(root, path)).mode & 0o077).toBe(0);
    }

    const world = worldOf(file);
    const admin = new AdminClient(file.url, file.adminKey);
    const phone = await SimulatedPhone.create(world);
    const { udid, serial } = phone;
    const link = await admin.post('enrollment-links', { udid, serial, platform: 'iOS', signed: true });
    await phone.enrollByLink(String(link['url']));
    await admin.put(`watch-enrollment/devices/${udid}`, { anchors: [] });
    const { sync } = await phone.connect();
    if (sync === null) await phone.sync();
    const watch = await SimulatedWatch.create(world);
    expect(await watch.pairWith(phone)).toEqual({ kind: 'enrolled', challenges: 1 });

    const second = startDev();
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain('Another npm run dev');

    first.child.kill('SIGINT');
    expect(await first.ended).toBe(0);
    expect(existsSync(join(folder, 'dev.json'))).toBe(false);
    await expect(fetch(file.url)).rejects.toThrow();

    const third = startDev();
    const again = await devFile(third);
    expect(again).toEqual(file);
    const device = await new AdminClient(again.url, again.adminKey).get(`devices/${watch.udid}`);
    expect(device).toMatchObject({ state: 'enrolled', phone: udid });
    await watch.connect();
    third.child.kill('SIGTERM');
    expect(await third.ended).toBe(0);
  }, 180_000);

  it('refuses a port that is taken, and one that is none', async () => {
    const { createServer } = await import('node:net');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const taken = startDev('--port', String(port));
    expect(await taken.ended).toBe(1);
    expect(taken.output()).toBe(`Port ${port} is taken. Choose another with --port.\n`);
    server.close();
    const port0 = startDev('--port', '0');
    expect(await port0.ended).toBe(2);
    expect(port0.output()).toBe('--port 0 is not a port. npm run dev -- --help lists the options.\n');
  });

  it('ends the workerd of a run that was killed outright, and then starts on its state', async () => {
    const killed = startDev();
    const file = await devFile(killed);
    const lock = join(folder, 'dev.lock');
    const { workerd } = JSON.parse(readFileSync(lock, 'utf8')) as { workerd: RunningProcess };
    orphans.push(workerd);
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(commandOf(workerd.pid)).toBe(workerd.command);

    const next = startDev();
    await untilOutput(next, 'Ctrl-C');
    expect(next.output()).toContain(
      `Ended process ${workerd.pid}, the workerd that a killed run left behind.`,
    );
    expect(commandOf(workerd.pid)).toBeNull();
    expect((await fetch(`${file.url}/healthz`)).status).toBe(200);
    expect(JSON.parse(readFileSync(lock, 'utf8'))).not.toMatchObject({ workerd: { pid: workerd.pid } });
    next.child.kill('SIGTERM');
    expect(await next.ended).toBe(0);
    expect(existsSync(lock)).toBe(false);
  }, 120_000);

  it('never ends what is not its workerd: another number since, or another program', async () => {
    const bystander = spawn('sleep', ['600']);
    running.push(bystander);
    await new Promise((resolve) => bystander.once('spawn', resolve));
    const pid = bystander.pid as number;
    const lock = join(folder, 'dev.lock');
    const leaveLock = (command: string) =>
      writeFileSync(lock, JSON.stringify({ pid: NO_PID, workerd: { pid, command } }));

    // Its exact command line, but no workerd of ours: it stays, and so does the lock that names it.
    leaveLock('sleep 600');
    const refused = startDev();
    expect(await refused.ended).toBe(1);
    expect(refused.output()).toMatch(`Process ${pid}, left by an earlier npm run dev, still uses `);
    expect(readFileSync(lock, 'utf8')).toContain('sleep 600');

    // A workerd had this number once.
    leaveLock(`${join(root, 'node_modules/@cloudflare/workerd-linux-64/bin/workerd')} serve -`);
    const started = startDev();
    await untilOutput(started, 'Ctrl-C');
    expect(started.output()).not.toContain('Ended process');
    started.child.kill('SIGTERM');
    expect(await started.ended).toBe(0);
    expect(bystander.exitCode).toBeNull();
    expect(commandOf(pid)).toBe('sleep 600');
  }, 120_000);
});

describe('npm run simulate -- --stay', () => {
  it('has devices that answer what is ordered, until Ctrl-C', async () => {
    const dev = startDev();
    const { url, adminKey } = await devFile(dev);
    const devices = start('simulate', '--stay', '--every', '1');
    await untilOutput(devices, 'They stay');
    const watch = /^ {2}Watch (\S+)/m.exec(devices.output())?.[1];
    const admin = new AdminClient(url, adminKey);
    const path = `devices/${watch}/commands`;
    const { commandUuid } = await admin.post(path, { command: { RequestType: 'SecurityInfo' } });
    await admin.until(`${path}/${commandUuid}`, ({ state }) => state === 'acknowledged', 15_000);

    const app = 'com.example.run.watchkitapp';
    const store = { kind: 'app-store', iTunesStoreID: 123456789 };
    const paired = { name: 'Run', kind: 'paired', source: store, phone: { bundleId: 'com.example.run' } };
    await admin.put(`apps/${app}`, paired, { 'If-None-Match': '*' });
    const { deploymentId } = await admin.post(`devices/${watch}/apps`, { app, action: 'install' });
    await admin.until(`deployments/${deploymentId}`, ({ state }) => state === 'done', 30_000);
    await untilOutput(devices, `Watch ${watch}  InstallApplication  Acknowledged`);

    devices.child.kill('SIGINT');
    expect(await devices.ended).toBe(0);
    dev.child.kill('SIGINT');
    expect(await dev.ended).toBe(0);
  }, 180_000);

  it('wants its options together', async () => {
    const alone = start('simulate', '--defer', '2');
    expect(await alone.ended).toBe(2);
    expect(alone.output()).toContain('--defer goes with --stay.');
  });
});

describe('npm run demo', () => {
  it('shows the whole enrollment and every attack refused, in 80 columns, and leaves dev alone', () => {
    const output = execFileSync(process.execPath, ['scripts/demo.ts'], { cwd: root, env, encoding: 'utf8' });
    expect(output.split('\n').filter((line) => [...line].length > 80)).toEqual([]);
    expect(output).not.toContain('✗');
    expect(output.match(/✓ refused: /g)).toHaveLength(6);
    expect(output).toContain('DeviceLock Acknowledged');
    expect(existsSync(join(folder, 'dev.json'))).toBe(false);
  }, 120_000);

  it('goes on to its own exit code when nobody reads it to the end', async () => {
    const child = spawn(process.execPath, ['scripts/demo.ts'], { cwd: root, env, stdio: 'pipe' });
    running.push(child);
    let complaints = '';
    child.stderr.on('data', (chunk) => (complaints += chunk));
    child.stdout.once('data', () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect([code, complaints]).toEqual([0, '']);
  }, 120_000);
});

describe.each([
  ['dev', 'npm run dev -- [options]'],
  ['demo', 'npm run demo'],
  ['bench', 'npm run bench -- [options]'],
  ['check', 'npm run check'],
  ['test', 'npm test -- [vitest options]'],
  ['types', 'npm run types -- [options]'],
])('scripts/%s.ts', (name, usage) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [`scripts/${name}.ts`, ...args], { cwd: root, env, encoding: 'utf8' });

  it('prints its usage when asked, and nothing else happens', () => {
    const { status, stdout, stderr } = run('--help');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.startsWith(usage)).toBe(true);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('answers an option it does not know with one line, and 2', () => {
    const { status, stdout, stderr } = run('--prot');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^Unknown option .--prot.\. npm .* -- --help lists the options\.\n$/);
  });
});
