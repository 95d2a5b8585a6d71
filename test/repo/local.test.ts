/**
 * The commands that people start with, run as they run them: `dev` keeps a server that devices reach over real
 * HTTP and that survives a restart; `demo` shows the whole enrollment and fits its page.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AdminClient } from '../../scripts/local/admin-client.ts';
import { createWorld, SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import { root } from './source.ts';

const folder = mkdtempSync(join(tmpdir(), 'escapement-'));
const env = { ...process.env, ESCAPEMENT_FOLDER: folder, NO_COLOR: '1' } as NodeJS.ProcessEnv;
const running: ChildProcess[] = [];

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Dev {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly output: () => string;
}

function startDev(...args: string[]): Dev {
  const child = spawn(process.execPath, ['scripts/dev.ts', ...args], { cwd: root, env, stdio: 'pipe' });
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
  const path = join(folder, 'dev.json');
  for (let waited = 0; waited < 45_000; waited += 100) {
    if (existsSync(path) && dev.output().includes('Ctrl-C')) return JSON.parse(readFileSync(path, 'utf8'));
    if (dev.child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`dev did not start:\n${dev.output()}`);
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

  it('refuses a port that is taken and an option it does not know', async () => {
    const { createServer } = await import('node:net');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const taken = startDev('--port', String(port));
    expect(await taken.ended).toBe(1);
    expect(taken.output()).toBe(`Port ${port} is taken. Choose another with --port.\n`);
    server.close();
    const unknown = startDev('--prot', '1');
    expect(await unknown.ended).toBe(1);
    expect(unknown.output()).toContain('npm run dev -- [--port N]');
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
});
