/**
 * What an administrator approves before anything is created: offline, without an account, from the tree as it is. And
 * what Wrangler would upload, offline too.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../../scripts/local/ports.ts';
import { root } from './source.ts';

const folder = mkdtempSync(join(tmpdir(), 'escapement-plan-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In every Node that is started here, Wrangler's too: to open a connection is to fail, and to say so. */
const blockade = join(folder, 'no-network.mjs');
writeFileSync(
  blockade,
  "import net from 'node:net';\nnet.Socket.prototype.connect = () => {\n  process.stderr.write('THE NETWORK WAS USED');\n  process.exit(99);\n};\n",
);
const NO_NETWORK = { NODE_OPTIONS: `--import ${pathToFileURL(blockade).href}` };
const {
  CLOUDFLARE_API_TOKEN: _,
  CLOUDFLARE_ACCOUNT_ID: __,
  ESCAPEMENT_ADMIN_KEY: ___,
  ...plain
} = process.env;
const env = {
  ...plain,
  ...NO_NETWORK,
  HOME: folder,
  ESCAPEMENT_FOLDER: folder,
  NO_COLOR: '1',
} as NodeJS.ProcessEnv;

function script(name: string, ...args: string[]) {
  const run = spawnSync(process.execPath, [`scripts/${name}.ts`, ...args], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  return { code: run.status, said: run.stdout + run.stderr };
}

describe('the plan', () => {
  it('is printed without an account or a network, and names everything', () => {
    const { code, said } = script('deploy', '--dry-run');
    expect([code, said]).toEqual([0, expect.stringContaining('nothing was sent')]);
    for (const part of [
      'D1 database escapement',
      'KV namespace escapement-rendered',
      'escapement-fanout-dead',
      'R2 bucket escapement-packages',
      'migrations (0001_init.sql to ',
      'CA_KEY',
      'STORAGE_KEY',
      'TOKEN_KEYS',
      'gzipped',
      'ENVIRONMENT = production',
    ]) {
      expect(said).toContain(part);
    }
    expect(said).toMatch(/Still needed[\s\S]*push topic[\s\S]*ESCAPEMENT_ADMIN_KEY/);
  });

  it('tells what the options change', () => {
    const topic = ['--push-topic', 'com.apple.mgmt.External.x'];
    const relay = ['--push-transport', 'relay', '--relay-url', 'https://relay.example.com'];
    const more = [
      '--url',
      'https://mdm.example.com',
      '--packages',
      'no',
      '--name',
      'lab',
      '--show-admin-key',
    ];
    const { code, said } = script('deploy', '--dry-run', ...topic, ...relay, '--show-relay-key', ...more);
    expect(code).toBe(0);
    expect(said).toContain('https://relay.example.com');
    expect(said).toContain('RELAY_KEY');
    expect(said).toContain('custom domain');
    expect(said).toContain('D1 database lab ');
    expect(said).toContain('No bucket');
    expect(said).toContain('printed once');
    expect(said).not.toContain('Still needed');
  });

  it.each([
    ['--name', 'Lab!'],
    ['--push-certificate', 'only.pem'],
    ['--accept', 'everything'],
    ['--set', 'ENVIRONMENT=local'],
    ['--set', 'nothing'],
    ['--packages', 'maybe'],
    ['--nonsense'],
  ])('is refused in a line for %s %s', (...args) => {
    const { code, said } = script('deploy', '--dry-run', ...args);
    expect(code).toBe(2);
    expect(said.trim().split('\n')).toHaveLength(1);
    expect(said).toContain('npm run deploy -- --help');
  });
});

describe('the Worker', () => {
  it('is what wrangler deploy takes, offline', () => {
    const out = join(folder, 'dist');
    const wrangler = join(root, 'node_modules/wrangler/bin/wrangler.js');
    const quiet = { WRANGLER_SEND_METRICS: 'false', WRANGLER_WRITE_LOGS: 'false', CI: '1' };
    const run = spawnSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', out], {
      cwd: root,
      env: { ...env, ...quiet } as NodeJS.ProcessEnv,
      encoding: 'utf8',
    });
    expect([run.status, run.stderr]).toEqual([0, '']);
    expect(readFileSync(join(out, 'index.js'), 'utf8')).toMatch(/DeviceObject/);
  });
});

describe('trust anchors', () => {
  it('stay as they are where Apple cannot be reached', async () => {
    const out = join(folder, 'anchors.pem');
    const args = [
      'scripts/trust-anchors.ts',
      '--out',
      out,
      '--from',
      `http://127.0.0.1:${await freePort()}/root.cer`,
    ];
    const run = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    expect([run.status, run.stdout]).toEqual([1, '']);
    expect(run.stderr).toContain('is out of reach');
    expect(run.stderr).toContain('Nothing was changed');
    expect(existsSync(out)).toBe(false);
  });

  it('would be caught reaching out in the tests above', async () => {
    const local = ['--from', `http://127.0.0.1:${await freePort()}/root.cer`];
    const { code, said } = script('trust-anchors', '--out', join(folder, 'never.pem'), ...local);
    expect([code, said]).toEqual([99, 'THE NETWORK WAS USED']);
  });
});
