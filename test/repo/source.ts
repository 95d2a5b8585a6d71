/**
 * The tree as the rules see it: files with their text, and code with comments (or strings too) blanked out, so
 * that line numbers stay and a word in prose is not mistaken for code. A scanner of a few states, not a parser.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Source {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export const root = join(import.meta.dirname, '../..');

export function source(path: string, text: string): Source {
  return { path, text };
}

export function readSource(path: string): Source {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

/** Every file under `folder` whose name ends with `suffix`. */
export function listSources(folder: string, suffix: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => readSource(`${folder}/${name.replaceAll('\\', '/')}`));
}

/** What git tracks; null outside a checkout. */
export function trackedFiles(): string[] | null {
  try {
    const listed = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    return listed.split('\0').filter((path) => path !== '');
  } catch {
    // No git, or an unpacked archive: the caller says that it skips.
    return null;
  }
}

/** `path:line`, one for each match of `pattern` in `text`. */
export function matches(path: string, text: string, pattern: RegExp): string[] {
  return [...text.matchAll(new RegExp(pattern, 'gm'))].map(
    (match) => `${path}:${text.slice(0, match.index).split('\n').length} ${match[0].trim()}`,
  );
}

/** The text with comments blanked. */
export function code(text: string): string {
  return blank(text, false);
}

/** The text with comments and the contents of strings blanked. */
export function codeWithoutStrings(text: string): string {
  return blank(text, true);
}

/** A comment, a string, a template or a regular expression: the kinds of token that can hide one another. */
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|(?<=(?:^|[(,=:[!&|?{};\n]|return|=>)\s*)\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*/g;

function blank(text: string, strings: boolean): string {
  return text.replace(TOKEN, (token) => {
    if (token.startsWith('//') || token.startsWith('/*')) return spaces(token);
    if (!strings || token.startsWith('/')) return token;
    return token[0] + spaces(token.slice(1, -1)) + token.at(-1);
  });
}

function spaces(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}
