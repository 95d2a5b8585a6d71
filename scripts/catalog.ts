/**
 * `node scripts/catalog.ts --from FOLDER` writes `src/protocol/catalog/data/*.json` from a folder of facts, and the
 * list of watchOS records in those facts that the tests hold the catalog to. The output is checked in: building and
 * running need no facts.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CATALOG_KINDS } from '../src/protocol/catalog/entry.ts';
import { encodeEntry } from './catalog/encode.ts';
import { type Facts, readFacts } from './catalog/facts.ts';
import { type Merged, mergeFacts } from './catalog/merge.ts';
import { projectRoot } from './local/build.ts';

const { from } = parseArgs({ options: { from: { type: 'string' } } }).values;
if (from === undefined) {
  console.error('node scripts/catalog.ts --from FOLDER');
  process.exit(1);
}

const generatedBy = 'scripts/catalog.ts';
const folder = join(projectRoot, 'src/protocol/catalog/data');
const listFile = join(projectRoot, 'test/protocol/catalog/watch-records.json');

const facts = readFacts(from);
const { entries, omitted } = mergeFacts(facts);
const stray = entries.find(({ kind }) => !(CATALOG_KINDS as readonly string[]).includes(kind));
if (stray !== undefined) throw new Error(`${stray.kind} ${stray.type} is of no known kind`);

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const digest = createHash('sha256');
const counts: Record<string, number> = {};
for (const kind of CATALOG_KINDS) {
  const entriesOfKind = entries.filter((entry) => entry.kind === kind);
  const types = Object.fromEntries(
    entriesOfKind.toSorted(byType).map(({ type, ...entry }) => [type, text(entry)]),
  );
  counts[kind] = entriesOfKind.length;
  digest.update(kind).update(JSON.stringify(types));
  write(join(folder, `${kind}.json`), { generatedBy, types });
}
const schemas = [facts.release.schema, facts.seed.schema, { schema: 'hand-entered' }];
digest.update(JSON.stringify(schemas));
write(join(folder, 'index.json'), {
  generatedBy,
  version: digest.digest('hex').slice(0, 16),
  schemas,
  counts,
});
write(listFile, { generatedBy, records: watchRecords(facts) });

const biome = join(projectRoot, 'node_modules/.bin/biome');
const { status } = spawnSync(biome, ['format', '--write', folder, listFile], { stdio: 'inherit' });
console.log(`${entries.length} entries: ${JSON.stringify(counts)}`);
console.log(`on neither platform, left out: ${omitted.join(', ')}`);
process.exitCode = status ?? 1;

function byType(a: Merged, b: Merged): number {
  return a.type < b.type ? -1 : 1;
}

function text(entry: Omit<Merged, 'type'>): string {
  return JSON.stringify(encodeEntry({ ...entry, type: '' }));
}

/** Kind to the types that the release has for watchOS, then those that came later. */
function watchRecords({ release }: Facts): Record<string, { released: string[]; newer: string[] }> {
  const lists: Record<string, { released: string[]; newer: string[] }> = {};
  for (const kind of CATALOG_KINDS) {
    const on = (list: readonly Pick<Merged, 'kind' | 'type' | 'platforms'>[]) =>
      list
        .filter((entry) => entry.kind === kind && (entry.platforms.watchOS?.introduced ?? 'n/a') !== 'n/a')
        .map(({ type }) => type)
        .sort();
    const released = on(release.records);
    lists[kind] = { released, newer: on(entries).filter((type) => !released.includes(type)) };
  }
  return lists;
}

function write(path: string, content: unknown): void {
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
}
