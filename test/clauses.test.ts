/** The table of clauses names tests that are there. */
import { expect, it } from 'vitest';
import table from './README.md?raw';

it('names no file that does not exist', () => {
  const files = new Set(Object.keys(import.meta.glob('./**/*.ts')).map((path) => path.slice(2)));
  const named = [...table.matchAll(/`([a-z0-9/-]+(?:\.test)?\.ts)`/g)].map((match) => match[1] as string);
  expect(named.length).toBeGreaterThan(100);
  const missing = named.filter((path) => !files.has(path) && !files.has(`support/${path}`));
  expect([...new Set(missing)].filter((path) => path !== 'clauses.test.ts')).toEqual([]);
});
