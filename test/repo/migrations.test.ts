import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freeze, migrationViolations, numberingViolations } from './migrations.ts';
import { listSources, readSource, root, source } from './source.ts';

const files = listSources('src', '.sql');
const one = source('src/storage/d1/migrations/0001_init.sql', 'CREATE TABLE a (b TEXT) STRICT;');
const two = source('src/storage/d1/migrations/0002_more.sql', 'CREATE TABLE c (d TEXT) STRICT;');

describe('migrations', () => {
  it('are as they were when they were merged', () => {
    expect(migrationViolations(files, readSource('test/repo/migrations.sha256').text)).toEqual([]);
  });

  it('would be caught changed, added without a digest, or removed', () => {
    const frozen = freeze([one]);
    expect(migrationViolations([one], frozen)).toEqual([]);
    expect(migrationViolations([source(one.path, `${one.text} `)], frozen)).toHaveLength(1);
    expect(migrationViolations([one, two], frozen)).toHaveLength(1);
    expect(migrationViolations([], frozen)).toHaveLength(1);
  });

  it('are numbered in order', () => {
    expect(numberingViolations(files)).toEqual([]);
    expect(numberingViolations([one, two])).toEqual([]);
    expect(numberingViolations([two])).toHaveLength(1);
    expect(numberingViolations([source('src/a/init.sql', '')])).toHaveLength(1);
  });

  it('make only strict tables', () => {
    expect(files.flatMap(looseTables)).toEqual([]);
    expect(looseTables(source('a.sql', 'CREATE TABLE a (\n  b TEXT\n);'))).toHaveLength(1);
  });

  it('make no table that the storage page does not describe', () => {
    const page = existsSync(join(root, 'docs/storage.md')) ? readSource('docs/storage.md').text : '';
    expect(files.flatMap(tables).filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

function tables({ text }: { text: string }): string[] {
  return [...text.matchAll(/^CREATE TABLE (?:IF NOT EXISTS )?(\w+)/gm)].map((match) => match[1] ?? '');
}

function looseTables({ path, text }: { path: string; text: string }): string[] {
  return [...text.replaceAll(/--.*/g, '').matchAll(/^CREATE TABLE[^;]*;/gm)]
    .filter(([statement]) => !/\)\s*(?:WITHOUT ROWID,\s*)?STRICT(?:,\s*WITHOUT ROWID)?;$/.test(statement))
    .map(([statement]) => `${path}: ${statement.slice(0, 60)}`);
}
