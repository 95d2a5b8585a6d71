/** Renderings at the edge: found under their content's name, and never missed when KV is down. */
import { env } from 'cloudflare:workers';
import { afterEach, expect, it, vi } from 'vitest';
import type { ManifestEntry } from '../../../src/domain/declaration/manifest.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { KvRendered } from '../../../src/storage/kv/rendered.ts';

const rendered = new KvRendered(env.RENDERED);
const entry = (identifier: string, serverToken: string): ManifestEntry => ({
  kind: 'asset',
  identifier,
  serverToken,
});

afterEach(() => {
  vi.restoreAllMocks();
});

it('finds what was put, for that token alone', async () => {
  await rendered.put(entry('a', 't1'), utf8('{"ü":1}'));
  expect(await rendered.get(entry('a', 't1'))).toEqual(utf8('{"ü":1}'));
  expect(await rendered.get(entry('a', 't2'))).toBeNull();
  expect(await rendered.get(entry('b', 't1'))).toBeNull();
});

it('lets each rendering go in the end', async () => {
  await rendered.put(entry('c', 't1'), utf8('{}'));
  const { keys } = await env.RENDERED.list({ prefix: 'declaration/c/' });
  expect(keys.map((key) => typeof key.expiration)).toEqual(['number']);
});

it('is empty when KV fails, and does not fail itself', async () => {
  const kv = Object.getPrototypeOf(env.RENDERED);
  for (const method of ['get', 'put'] as const) vi.spyOn(kv, method).mockRejectedValue(new Error('down'));
  await rendered.put(entry('d', 't1'), utf8('{}'));
  expect(await rendered.get(entry('d', 't1'))).toBeNull();
});
