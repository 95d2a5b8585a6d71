/** The pages name tests that are there. */
import { describe, expect, it } from 'vitest';
import { type Files, kindsInTable, missingPaths, problemKinds, tree, untrueReferences } from './docs.ts';
import { listSources, readSource, source } from './source.ts';

const pages = [...listSources('docs', '.md'), readSource('README.md')];

const FILE =
  "describe('a door', () => {\n  // it('was open')\n  it('is shut, also at night', () => {});\n});";
const files: Files = { exists: (path) => path === 'test/door.test.ts', read: () => FILE };

const page = (shown: string) =>
  source(
    'a.md',
    `| word | file |\n|---|---|\n| door | \`test/door.test.ts\` |\n\n| # | attack | shown by |\n|---|---|---|\n| 1 | force | ${shown} |\n`,
  );

describe('the pages', () => {
  it('name no test file that does not exist', () => {
    expect(pages.flatMap((one) => missingPaths(one, tree))).toEqual([]);
  });

  it('quote tests as they are called, each from its file', () => {
    expect(pages.flatMap((one) => untrueReferences(one, tree))).toEqual([]);
  });

  it('would be caught naming a file that is not there', () => {
    expect(missingPaths(source('a.md', 'see `test/gone.test.ts`'), files)).toEqual([
      'a.md: no test/gone.test.ts',
    ]);
    expect(missingPaths(source('a.md', 'see `test/door.test.ts`'), files)).toEqual([]);
  });

  it.each([
    'door',
    'door "is shut"',
    'door "a door", "is shut, also at night"',
    '`test/door.test.ts` "is shut"; door',
  ])('may say that an attack is shown by %s', (shown) => {
    expect(untrueReferences(page(shown), files)).toEqual([]);
  });

  it.each([
    '',
    'no test yet',
    '"is shut"',
    'window "is shut"',
    'door "is open"',
    'door "was open"',
    'door "shut"',
  ])('would be caught saying that an attack is shown by: %s', (shown) => {
    expect(untrueReferences(page(shown), files)).not.toEqual([]);
  });

  it('would be caught quoting a test in running text that is not there', () => {
    const text = (title: string) =>
      source('a.md', `It holds (\`test/door.test.ts\` "a door" and "${title}").`);
    expect(untrueReferences(text('is shut'), files)).toEqual([]);
    expect(untrueReferences(text('is open'), files)).toHaveLength(1);
  });
});

describe('the page of the admin API', () => {
  const answered = listSources('src/http/admin', 'refusals.ts').flatMap(problemKinds);
  const page = readSource('docs/api.md');

  it('has every kind of problem in its table, and no other', () => {
    expect(answered.length).toBeGreaterThan(80);
    expect([...kindsInTable(page)].sort()).toEqual([...new Set(answered)].sort());
  });

  it('would be caught without one', () => {
    const kinds = problemKinds(source('a.ts', "switch (kind) {\n    case 'no-door':\n    case 'shut':\n"));
    expect(kinds).toEqual(['no-door', 'shut']);
    const table = '`shut`\n\n| status | kinds |\n|---|---|\n| 404 | `no-door` (with `Door`) |\n\n`shut`';
    expect(kindsInTable(source('a.md', table))).toEqual(['no-door']);
  });
});
