import { describe, expect, it } from 'vitest';
import { code, codeWithoutStrings, listSources } from './source.ts';
import { rules } from './words.ts';

const sources = listSources('src', '.ts').filter((file) => !file.path.endsWith('.d.ts'));

describe.each(rules)('$name', ({ violations, bad, good }) => {
  it('holds in src', () => {
    expect(sources.flatMap(violations)).toEqual([]);
  });

  it.each(bad)('is broken by $path: $text', (file) => {
    expect(violations(file)).not.toEqual([]);
  });

  it.each(good)('allows $path: $text', (file) => {
    expect(violations(file)).toEqual([]);
  });
});

describe('the scanner', () => {
  it('keeps lines in place and blanks comments alone', () => {
    expect(code("a /* b\nc */ 'd // e' // f\ng")).toBe("a     \n     'd // e'     \ng");
  });

  it('is not misled by quotes and slashes in regular expressions and templates', () => {
    const text = 'const a = /[\'"`]\\/\\//; const b = `x // $y "`; // gone';
    expect(code(text)).toBe(`${text.slice(0, -7)}       `);
  });

  it('blanks what strings say', () => {
    expect(codeWithoutStrings("f('private', `a\nb`)")).toBe("f('       ', ` \n `)");
  });
});
