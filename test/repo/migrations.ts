/**
 * Migrations are forward only and frozen: what a deployment has applied cannot be changed under it. The digests
 * of all of them are in `migrations.sha256`, in the form that `sha256sum` writes and checks.
 */
import { createHash } from 'node:crypto';
import type { Source } from './source.ts';

export function freeze(files: readonly Source[]): string {
  return files.map(({ path, text }) => `${digest(text)}  ${path}\n`).join('');
}

export function migrationViolations(files: readonly Source[], frozen: string): string[] {
  const known = new Map(frozen.split('\n').map((line) => line.split('  ').reverse() as [string, string]));
  const found = new Set(files.map(({ path }) => path));
  const gone = [...known.keys()]
    .filter((path) => path !== '' && !found.has(path))
    .map((path) => `${path} is gone`);
  return gone.concat(
    files.flatMap(({ path, text }) => {
      const expected = known.get(path);
      if (expected === undefined) return [`${path} is new: add "${digest(text)}  ${path}"`];
      return expected === digest(text) ? [] : [`${path} has changed: write a new migration instead`];
    }),
  );
}

/** `0001_init.sql`, `0002_…` in each folder, without a gap. */
export function numberingViolations(files: readonly Source[]): string[] {
  const next = new Map<string, number>();
  return files.flatMap(({ path }) => {
    const [, folder = '', number = '', rest = ''] = /^(.*)\/(\d{4})_([a-z0-9_]+)\.sql$/.exec(path) ?? [];
    const expected = (next.get(folder) ?? 0) + 1;
    next.set(folder, expected);
    return rest !== '' && Number(number) === expected
      ? []
      : [`${path} is not number ${expected} in its folder`];
  });
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
