/**
 * `npm run dev [-- --port N] [--fresh] [--verbose]`: a server for use by hand, its state and keys kept in
 * `.escapement`. While it runs, `.escapement/dev.json` tells any program how to act as administrator or as a
 * simulated Apple device. SIGINT and SIGTERM end it, with everything it started.
 */
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { localFolder, projectRoot } from './local/build.ts';
import { leaveBadUsage, readCommandLine } from './local/command-line.ts';
import { DevLock, LockRefusal } from './local/dev-lock.ts';
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

const USAGE = `npm run dev -- [options]

Keeps a server running for use by hand. Its state and keys are in .escapement;
.escapement/dev.json tells programs its URL and keys while it runs.

  --port N     default: the port of the last run, if it is free
  --fresh      forget state and keys first
  --verbose    show the Worker's log here as well
  --help

SIGINT (Ctrl-C) and SIGTERM end it.`;

const options = readCommandLine(USAGE, {
  port: { type: 'string' },
  fresh: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
});
if (options.port !== undefined && !isPort(Number(options.port))) {
  leaveBadUsage(USAGE, `--port ${options.port} is not a port`);
}
try {
  await run();
} catch (error) {
  if (!(error instanceof Refusal || error instanceof LockRefusal)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function run(): Promise<void> {
  mkdirSync(localFolder, { recursive: true, mode: 0o700 });
  const lock = new DevLock(files.lock);
  const orphan = await lock.take(shown(localFolder));
  process.on('exit', () => {
    rmSync(files.dev, { force: true });
    lock.release();
  });
  if (orphan !== null)
    console.log(`Ended process ${orphan.pid}, the workerd that a killed run left behind.\n`);
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
  const noteWorkerd = lock.watchForWorkerd();
  stack = await startStack({ stateDir: localFolder, port, onLog }).finally(noteWorkerd);
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

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

async function choosePort(wanted: string | undefined): Promise<number> {
  if (wanted !== undefined) {
    const port = Number(wanted);
    if ((await tryPort(port)) === null)
      throw new Refusal(`Port ${port} is taken. Choose another with --port.`);
    return port;
  }
  const last = existsSync(files.port) ? Number(readFileSync(files.port, 'utf8')) : USUAL_PORT;
  return (await tryPort(last)) ?? (await freePort());
}
