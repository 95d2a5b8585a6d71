/** What is checked in says nothing of the machine it was written on. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { matches, root, source, trackedFiles } from './source.ts';

/** Home and work folders, and package registries by address. The patterns do not match themselves. */
const MACHINE =
  /(?:^|[\s'"`(=:])\/(?:home|Users|root|work|tmp\/esc)\/[\w.-]+|https?:\/\/(?:registry|npm|verdaccio)\.[\w.-]+/;
const BINARY = /\.(?:png|ico|gif|der|p12|woff2?)$/;

const tracked = trackedFiles();

describe('tracked files', () => {
  it('name no machine and no registry', ({ skip }) => {
    if (tracked === null) return skip('git is not installed, or this is not a checkout');
    const found = tracked
      .filter((path) => !BINARY.test(path))
      .flatMap((path) => matches(path, readFileSync(join(root, path), 'utf8'), MACHINE));
    expect(found).toEqual([]);
  });

  it('would be caught naming one', () => {
    // In pieces, because this file is tracked too.
    for (const text of [
      `const p = '/home${'/someone'}/escapement';`,
      `"https://${'registry.'}npmjs.example/a"`,
    ]) {
      expect(matches('a', source('a', text).text, MACHINE)).toHaveLength(1);
    }
    expect(matches('a', "path: '/homepage', '/scep/work'", MACHINE)).toEqual([]);
  });

  it('hold nothing that a run leaves behind', ({ skip }) => {
    if (tracked === null) return skip('git is not installed, or this is not a checkout');
    expect(tracked.filter((path) => /^(?:\.escapement|\.wrangler|node_modules|dist)\//.test(path))).toEqual(
      [],
    );
    expect(tracked.filter((path) => /(?:^|\/)\.(?:env|dev\.vars)|-key\.pem$/.test(path))).toEqual([]);
  });
});
