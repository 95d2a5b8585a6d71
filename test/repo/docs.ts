/**
 * What the pages say of tests. A path below `test/` is there; a test that a page quotes is in the file it is quoted
 * from: `test/a.test.ts` "how its title begins". A page may give files short words in a table (| word | `test/…` |).
 * Each numbered row of a table whose last column is "shown by" names at least one file in it, by path or by word.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { code, readSource, root, type Source } from './source.ts';

const PATH = /`(test\/[\w./-]+)`/g;
const WORD = /\| ([a-z][a-z-]*) \| `(test\/[\w./-]+)`/g;
/** A path, a quoted title, or a word. */
const REFERENCE = /`(test\/[\w./-]+)`|"([^"]+)"|([a-z][a-z-]*)/g;
const QUOTED = /`(test\/[\w./-]+)`((?:,? (?:and )?"[^"]+")+)/g;
const LITERAL = /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\[\s\S])*)`/g;

export interface Files {
  exists(path: string): boolean;
  read(path: string): string;
}

export const tree: Files = {
  exists: (path) => existsSync(join(root, path)),
  read: (path) => readSource(path).text,
};

export function missingPaths({ path, text }: Source, files: Files): string[] {
  const named = [...text.matchAll(PATH)].map((match) => match[1] ?? '');
  return [...new Set(named)].filter((name) => !files.exists(name)).map((name) => `${path}: no ${name}`);
}

/** References in "shown by" columns, and titles that follow a path anywhere else. */
export function untrueReferences(page: Source, files: Files): string[] {
  const words = new Map([...page.text.matchAll(WORD)].map((match) => [match[1] ?? '', match[2] ?? '']));
  const shown = shownBy(page.text).flatMap(({ row, cell }) => {
    const wrong = judge(cell, words, files);
    const names = [...cell.matchAll(REFERENCE)].some(([, path, , word]) => path ?? words.get(word ?? ''));
    return [...wrong, ...(names ? [] : ['names no test'])].map(
      (found) => `${page.path}, row ${row}: ${found}`,
    );
  });
  const quoted = [...page.text.matchAll(QUOTED)].flatMap(([, path = '', titles = '']) =>
    [...titles.matchAll(/"([^"]+)"/g)]
      .filter((match) => !hasTitle(path, match[1] ?? '', files))
      .map((match) => `${page.path}: ${path} has no "${match[1]}"`),
  );
  return [...shown, ...quoted];
}

function judge(cell: string, words: ReadonlyMap<string, string>, files: Files): string[] {
  const found: string[] = [];
  let current: string | null = null;
  for (const [, path, title, word] of cell.matchAll(REFERENCE)) {
    if (path !== undefined) current = path;
    else if (word !== undefined) current = words.get(word) ?? null;
    if (current === null) found.push(`"${title ?? word}" belongs to no file`);
    else if (title !== undefined && !hasTitle(current, title, files)) {
      found.push(`${current} has no "${title}"`);
    }
  }
  return found;
}

/** The last cells of numbered rows, below a header that ends with "shown by". */
function shownBy(text: string): { row: string; cell: string }[] {
  let inTable = false;
  return text.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    if (cells.length < 3) inTable = false;
    else if (cells.at(-2) === 'shown by') inTable = true;
    else if (inTable && /^\d+$/.test(cells[1] ?? ''))
      return [{ row: cells[1] ?? '', cell: cells.at(-2) ?? '' }];
    return [];
  });
}

function hasTitle(path: string, title: string, files: Files): boolean {
  if (!files.exists(path)) return false;
  return [...code(files.read(path)).matchAll(LITERAL)].some((match) =>
    (match[1] ?? match[2] ?? match[3] ?? '').startsWith(title),
  );
}

/** What a table of refusals answers. */
export function problemKinds({ text }: Source): string[] {
  return [...code(text).matchAll(/^ *case '([a-z-]+)':/gm)].map((match) => match[1] ?? '');
}

/** Of the table of statuses, without what a kind comes with, in parentheses. */
export function kindsInTable({ text }: Source): string[] {
  const [, rest = ''] = text.split('| status | kinds |');
  const [table = ''] = rest.split('\n\n');
  return [...table.replaceAll(/, with `[^`]+`|\([^)]*\)/g, '').matchAll(/`([a-z-]+)`/g)].map(
    (match) => match[1] ?? '',
  );
}
