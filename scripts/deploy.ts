/**
 * `npm run deploy`: from nothing to a running deployment, or from an older one to this version. What it does is in
 * `deploy/run.ts`; this file is its terminal.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { readChoices } from './deploy/choices.ts';
import type { Keys } from './deploy/keys.ts';
import { Stop } from './deploy/site.ts';

/** A new address takes this long, at times, until it answers everywhere. */
const PATIENCE_MS = 90_000;
/** Nothing was agreed to, so nothing was done. */
const EXIT_DECLINED = 3;

const choices = readChoices();
try {
  // What follows loads Wrangler, which takes seconds: a wrong option is told before.
  if (choices.dryRun) console.log(await (await import('./deploy/plan.ts')).plan(choices, new Date()));
  else await run();
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  console.error(`\nstopped  ${error.message}`);
  console.error(`fix      ${error.fix}`);
  process.exitCode = 1;
}

async function run(): Promise<void> {
  const [{ deploy }, { findCredentials }, { APPLE }, { examine }, { printReport }] = await Promise.all([
    import('./deploy/run.ts'),
    import('./deploy/login.ts'),
    import('./trust-anchors/anchors.ts'),
    import('./doctor/examine.ts'),
    import('./doctor/report.ts'),
  ]);
  const environment = keysFromEnvironment();
  const { outcome, url } = await deploy(choices, {
    credentials: findCredentials,
    published: APPLE,
    environment,
    readInput: () => readFileSync(0, 'utf8'),
    now: () => new Date(),
    tell: (line) => console.log(line),
    confirm,
  });
  if (outcome === 'declined') {
    console.log('Nothing was changed. Agree at the terminal, or say --yes.');
    process.exitCode = EXIT_DECLINED;
    return;
  }
  console.log('');
  const patienceMs = outcome === 'changed' ? PATIENCE_MS : 0;
  const findings = await examine({ url, adminKey: environment['ADMIN_KEY'] ?? null, patienceMs });
  process.exitCode = printReport(url, findings, (line) => console.log(line));
}

function keysFromEnvironment(): Keys {
  const { ESCAPEMENT_ADMIN_KEY: admin, ESCAPEMENT_RELAY_KEY: relay } = process.env as Record<string, string>;
  return { ...(admin ? { ADMIN_KEY: admin } : {}), ...(relay ? { RELAY_KEY: relay } : {}) };
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
