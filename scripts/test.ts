/**
 * `npm test [-- vitest arguments]`: both projects, then what was skipped and why, then the count alone on the
 * last line. The exit code is vitest's own.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { localFolder, projectRoot } from './local/build.ts';
import type { TestCount } from './local/counting-reporter.ts';

const folder = join(localFolder, 'test');
mkdirSync(folder, { recursive: true, mode: 0o700 });
const countFile = join(folder, `count.${process.pid}.json`);

const child = spawn(
  process.execPath,
  [
    join(projectRoot, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--config', 'test/vitest.config.ts', '--root', '.', '--silent=passed-only'],
    ...['--reporter=default', `--reporter=${join(projectRoot, 'scripts/local/counting-reporter.ts')}`],
    ...process.argv.slice(2),
  ],
  { cwd: projectRoot, stdio: 'inherit', env: { ...process.env, TEST_COUNT_FILE: countFile } as never },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = report(code ?? (signal === null ? 0 : 1));
});

function report(code: number): number {
  if (!existsSync(countFile)) {
    console.log('0 passed, 1 failed');
    return code === 0 ? 1 : code;
  }
  const count: TestCount = JSON.parse(readFileSync(countFile, 'utf8'));
  rmSync(countFile);
  const failed = code !== 0 && count.failed === 0 ? 1 : count.failed;
  if (count.skipped.length > 0) {
    console.log(`${count.skipped.length} skipped:\n${count.skipped.map((line) => `  ${line}`).join('\n')}`);
  }
  console.log(`${count.passed} passed, ${failed} failed`);
  return failed > 0 && code === 0 ? 1 : code;
}
