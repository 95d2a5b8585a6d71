/**
 * `npm run types` writes src/env.d.ts, the Worker's bindings as TypeScript sees them, from wrangler.toml and
 * src/index.ts. `--check` only says whether it is fresh. Variables are plain strings: a deployment sets its own.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot, wranglerCommand, wranglerEnvironment } from './local/build.ts';
import { readCommandLine } from './local/command-line.ts';

const USAGE = `npm run types -- [options]

Writes src/env.d.ts from wrangler.toml and src/index.ts.

  --check    write nothing; exit with 1 when the file is stale
  --help`;

const { check } = readCommandLine(USAGE, { check: { type: 'boolean', default: false } });
const target = join(projectRoot, 'src/env.d.ts');
const before = readFileSync(target, 'utf8');
let fresh = before;
try {
  fresh = generate();
} finally {
  // Wrangler writes the file itself, always.
  writeFileSync(target, check ? before : fresh);
}
if (check && fresh !== before) {
  console.error('src/env.d.ts is stale: run npm run types');
  process.exitCode = 1;
}

function generate(): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [wranglerCommand, 'types', 'src/env.d.ts', '--include-runtime=false', '--strict-vars=false'],
    { cwd: projectRoot, env: wranglerEnvironment(), encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`wrangler types failed:\n${stdout}${stderr}`);
  // Wrangler names the entry without the extension that this project's imports carry.
  return readFileSync(target, 'utf8')
    .replaceAll('import("./index")', 'import("./index.ts")')
    .trimEnd()
    .concat('\n');
}
