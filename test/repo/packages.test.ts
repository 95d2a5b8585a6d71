/** What `npm ci` installs: exactly what was tested, with one workerd, from whatever registry is configured. */
import { describe, expect, it } from 'vitest';
import { readSource } from './source.ts';

interface Manifest {
  readonly [field: string]: Readonly<Record<string, string>> | undefined;
}
interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly resolved?: string }>>;
}

const manifest = JSON.parse(readSource('package.json').text) as Manifest;
const lock = JSON.parse(readSource('package-lock.json').text) as Lock;

describe('the packages', () => {
  it('are named by exact version', () => {
    expect(inexact(manifest)).toEqual([]);
  });

  it('would be caught when a range slipped in', () => {
    const bad = { dependencies: { a: '^1.0.0', b: '1.2.3' }, devDependencies: { c: '~1.0.0', d: 'latest' } };
    expect(inexact(bad)).toEqual(['a@^1.0.0', 'c@~1.0.0', 'd@latest']);
  });

  it.each(['workerd', 'wrangler', 'miniflare', 'esbuild'])('hold one %s', (name) => {
    expect(copies(lock, name)).toHaveLength(1);
  });

  it('would be caught holding two', () => {
    const two = { packages: { 'node_modules/workerd': {}, 'node_modules/a/node_modules/workerd': {} } };
    expect(copies(two, 'workerd')).toHaveLength(2);
  });

  it('bind nobody to one registry', () => {
    expect(Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
    expect(readSource('.npmrc').text).not.toMatch(/registry\s*=/);
  });

  it('agree between manifest and lock file', () => {
    for (const field of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      for (const [name, version] of Object.entries(manifest[field] ?? {})) {
        expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
      }
    }
  });

  it('have the compatibility date that their workerd accepts', () => {
    const date = /compatibility_date = "(.+)"/.exec(readSource('wrangler.toml').text)?.[1] ?? '';
    const [, stamp = ''] = (lock.packages['node_modules/workerd']?.version ?? '').split('.');
    expect(Date.parse(date)).toBeLessThanOrEqual(Date.parse(stamp.replace(/(....)(..)(..)/, '$1-$2-$3')));
  });
});

function inexact(of: Manifest): string[] {
  return ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'].flatMap((field) =>
    Object.entries(of[field] ?? {})
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      .map(([name, version]) => `${name}@${version}`),
  );
}

function copies(of: Lock, name: string): string[] {
  return Object.keys(of.packages).filter((path) => path.endsWith(`node_modules/${name}`));
}
