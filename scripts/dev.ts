/**
 * `npm run dev [-- --port N] [--fresh] [--verbose]`: a server for use by hand, its state and keys kept in
 * `.escapement`. While it runs, `.escapement/dev.json` tells any program how to act as administrator or as a
 * simulated Apple device. SIGINT and SIGTERM end it, with everything it started.
 */
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { localFolder, projectRoot } from './local/build.ts';
import { freePort, tryPort } from './local/ports.ts';
import { type Stack, startStack } from './local/stack.ts';

/** As often as `wrangler.toml` has the cron trigger fire. */
const SWEEP_MS = 5 * 60 * 1000;
/** Tried first, so that the URL stays the same from run to run. */
const USUAL_PORT = 8790;

const shown = (path: string) => relative(projectRoot, path);
const files = {
  lock: join(localFolder, 'dev.lock'),
  port: join(localFolder, 'dev.port'),
  log: join(localFolder, 'dev.log'),
  dev: join(localFolder, 'dev.json'),
  keys: join(localFolder, 'keys'),
  state: join(localFolder, 'state'),
};

class Refusal extends Error {}

function readOptions() {
  try {
    return parseArgs({
      options: {
        port: { type: 'string' },
        fresh: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Refusal(`${(error as Error).message}\nnpm run dev -- [--port N] [--fresh] [--verbose]`);
  }
}

let options: ReturnType<typeof readOptions>;
try {
  options = readOptions();
  await run();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function run(): Promise<void> {
  mkdirSync(localFolder, { recursive: true, mode: 0o700 });
  takeLock();
  process.on('exit', () => {
    for (const path of [files.dev, files.lock]) rmSync(path, { force: true });
  });
  const port = await choosePort(options.port);
  if (options.fresh)
    for (const path of [files.state, files.keys]) rmSync(path, { recursive: true, force: true });

  const log = createWriteStream(files.log, { flags: 'a', mode: 0o600 });
  let stack: Stack | undefined;
  let sweeper: NodeJS.Timeout | undefined;
  let stopped: Promise<void> | undefined;
  const stop = () => {
    clearInterval(sweeper);
    stopped ??= Promise.resolve(stack?.stop()).then(() => void log.end());
    return stopped;
  };
  const leave = () => void stop().then(() => process.exit(0));
  // Miniflare ends the process on these signals, before its databases are closed: only this handler may stay.
  const handleSignals = () => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.removeAllListeners(signal).on(signal, leave);
    }
  };
  handleSignals();

  const onLog = (line: string) => {
    log.write(`${line}\n`);
    if (options.verbose) console.log(line);
  };
  stack = await startStack({ stateDir: localFolder, port, onLog });
  handleSignals();
  if (process.env['npm_lifecycle_event'] !== undefined) watchParent(leave);
  writeFileSync(files.port, `${port}\n`);
  writeFileSync(files.dev, `${JSON.stringify(description(stack), null, 2)}\n`, { mode: 0o600 });
  // A sweep that fails is in the log, and the next one makes up for it.
  sweeper = setInterval(() => stack?.sweep().catch((error) => onLog(String(error))), SWEEP_MS);
  console.log(greeting(stack));
}

/** When npm is killed outright it can tell nobody: its child sees its parent change. */
function watchParent(onGone: () => void): void {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && onGone(), 500).unref();
}

/** Design section 6: paths are relative to the project's root. */
function description(stack: Stack): unknown {
  const pem = (name: string) => ({
    certificate: shown(join(files.keys, `${name}.pem`)),
    key: shown(join(files.keys, `${name}-key.pem`)),
  });
  return {
    url: stack.url,
    adminKey: stack.adminKey,
    deviceCa: pem('device-ca'),
    attestationCa: pem('attestation-ca'),
  };
}

function greeting(stack: Stack): string {
  return [
    `Escapement runs at ${stack.url}`,
    `Administrator key   ${stack.adminKey}`,
    `For programs        ${shown(files.dev)}`,
    `The Worker's log    ${shown(files.log)}${options.verbose ? '' : ' (--verbose shows it here)'}`,
    '',
    'Trust anchors are SIMULATED: devices signed by this folder’s own made-up',
    'authority are taken for Apple devices. For trying things out, nothing else.',
    '',
    `curl -H 'Authorization: Bearer ${stack.adminKey}' \\`,
    `  ${stack.url}/api/v1/devices`,
    '',
    'Ctrl-C ends it; the next run finds the same state. --fresh starts anew.',
  ].join('\n');
}

function takeLock(): void {
  const pid = existsSync(files.lock) ? Number(readFileSync(files.lock, 'utf8')) : 0;
  if (pid > 0 && isRunning(pid)) {
    throw new Refusal(
      `Another npm run dev (process ${pid}) is using ${shown(localFolder)}. End that one first.`,
    );
  }
  rmSync(files.lock, { force: true });
  try {
    writeFileSync(files.lock, String(process.pid), { flag: 'wx', mode: 0o600 });
  } catch {
    // Only the `wx` can fail here: another run created the file a moment ago.
    throw new Refusal(`Another npm run dev is just starting on ${shown(localFolder)}.`);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function choosePort(wanted: string | undefined): Promise<number> {
  if (wanted !== undefined) {
    const port = Number(wanted);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Refusal(`--port ${wanted} is not a port.`);
    if ((await tryPort(port)) === null)
      throw new Refusal(`Port ${port} is taken. Choose another with --port.`);
    return port;
  }
  const last = existsSync(files.port) ? Number(readFileSync(files.port, 'utf8')) : USUAL_PORT;
  return (await tryPort(last)) ?? (await freePort());
}
