/** `npm run check`: everything that must hold before a commit, cheapest first; stops at the first failure. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './local/build.ts';
import { readCommandLine } from './local/command-line.ts';

const USAGE = `npm run check

Types, lint and format, generated files and tests, cheapest first; stops at the
first failure, with its exit code.

  --help`;

readCommandLine(USAGE, {});

const bin = (name: string) => join(projectRoot, 'node_modules/.bin', name);
const node = (script: string, ...args: string[]) => [process.execPath, join(projectRoot, script), ...args];

const steps: readonly (readonly [string, readonly string[]])[] = [
  ['types of the whole', [bin('tsc'), '--noEmit', '-p', '.']],
  ['types of the core, without the platform', [bin('tsc'), '--noEmit', '-p', 'src/tsconfig.core.json']],
  ['lint and format', [bin('biome'), 'check', '--error-on-warnings']],
  ['generated types are fresh', node('scripts/types.ts', '--check')],
  ['tests', node('scripts/test.ts')],
];

for (const [name, [command, ...args]] of steps) {
  const startedAt = performance.now();
  const { status } = spawnSync(command ?? '', args, { cwd: projectRoot, stdio: 'inherit' });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (status !== 0) process.exit(status ?? 1);
}
