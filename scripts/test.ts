/**
 * `npm test [-- vitest arguments]`: both projects, then the tables that tests made, what was skipped and why, and the
 * count alone on the last line. The exit code is vitest's own.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { localFolder, projectRoot } from './local/build.ts';
import { leaveBadUsage, leaveWithUsage, tolerateClosedPipes } from './local/command-line.ts';
import type { TestCount } from './local/counting-reporter.ts';

const USAGE = `npm test -- [vitest options] [name of a test file ...]

Both projects, workers (in workerd) and repo (in Node); at the end the tables
that tests made, what was skipped and why, and on the last line the count.

  -t NAME              only tests whose name matches
  --project NAME       only workers or only repo
  --help               vitest's own: npx vitest run --help`;

const vitestArguments = process.argv.slice(2);
tolerateClosedPipes();
await checkArguments();

const folder = join(localFolder, 'test');
mkdirSync(folder, { recursive: true, mode: 0o700 });
const countFile = join(folder, `count.${process.pid}.json`);

const child = spawn(
  process.execPath,
  [
    join(projectRoot, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--config', 'test/vitest.config.ts', '--root', '.', '--silent=passed-only'],
    ...['--reporter=default', `--reporter=${join(projectRoot, 'scripts/local/counting-reporter.ts')}`],
    ...vitestArguments,
  ],
  { cwd: projectRoot, stdio: 'inherit', env: { ...process.env, TEST_COUNT_FILE: countFile } as never },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = report(code ?? (signal === null ? 0 : 1));
});

/** Loading vitest takes a moment, and only options can be wrong. */
async function checkArguments(): Promise<void> {
  if (vitestArguments.includes('--help') || vitestArguments.includes('-h')) leaveWithUsage(USAGE);
  if (!vitestArguments.some((argument) => argument.startsWith('-'))) return;
  const { createCLI } = await import('vitest/node');
  const cli = createCLI();
  try {
    cli.parse(['node', 'vitest', 'run', ...vitestArguments], { run: false });
    cli.matchedCommand?.checkUnknownOptions();
    cli.matchedCommand?.checkOptionValue();
  } catch (error) {
    leaveBadUsage(USAGE, error instanceof Error ? error.message : String(error));
  }
}

function report(code: number): number {
  if (!existsSync(countFile)) {
    console.log('0 passed, 1 failed');
    return code === 0 ? 1 : code;
  }
  const count: TestCount = JSON.parse(readFileSync(countFile, 'utf8'));
  rmSync(countFile);
  const failed = code !== 0 && count.failed === 0 ? 1 : count.failed;
  if (count.printed.length > 0) console.log(count.printed.join('\n'));
  if (count.skipped.length > 0) {
    console.log(`${count.skipped.length} skipped:\n${count.skipped.map((line) => `  ${line}`).join('\n')}`);
  }
  console.log(`${count.passed} passed, ${failed} failed`);
  return failed > 0 && code === 0 ? 1 : code;
}
