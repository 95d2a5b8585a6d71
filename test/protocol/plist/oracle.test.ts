/** Thousands of generated documents and mutations: the scanner agrees with fast-xml-parser on what it accepts. */
import { expect, it } from 'vitest';
import { encodePlist } from '../../../src/protocol/plist/encode.ts';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { mutate, newSeed, Random, randomValue, writeCarelessly } from './generate.ts';
import { isWellFormed, readWithOracle } from './oracle.ts';

it('reads every generated document as it was meant, and as fast-xml-parser reads it', () => {
  const seed = newSeed();
  const random = new Random(seed);
  for (let n = 0; n < 3000; n++) {
    const value = randomValue(random);
    const text = writeCarelessly(random, value);
    const parsed = parsePlist(utf8(text));
    const context = `seed ${seed}, document ${n}: ${JSON.stringify(text)}`;
    expect(parsed, context).toEqual({ ok: true, value });
    expect(isWellFormed(text), context).toBe(true);
    expect(readWithOracle(text), context).toEqual(value);
  }
});

it('never throws on a mutation, and accepts none that fast-xml-parser refuses or reads otherwise', () => {
  const seed = newSeed();
  const random = new Random(seed);
  let accepted = 0;
  for (let n = 0; n < 12_000; n++) {
    const text = mutate(random, writeCarelessly(random, randomValue(random)));
    const context = `seed ${seed}, mutation ${n}: ${JSON.stringify(text)}`;
    const bytes = utf8(text);
    const parsed = parsePlist(bytes);
    if (!parsed.ok) {
      expect(parsed.refusal.reason, context).not.toBe('');
      expect(parsed.refusal.offset, context).toBeGreaterThanOrEqual(0);
      expect(parsed.refusal.offset, context).toBeLessThanOrEqual(bytes.length);
      continue;
    }
    accepted++;
    expect(isWellFormed(text), context).toBe(true);
    expect(readWithOracle(text), context).toEqual(parsed.value);
    expect(parsePlist(encodePlist(parsed.value)), context).toEqual(parsed);
  }
  // Both ways are exercised: some mutations only touch text.
  expect(accepted, `seed ${seed}`).toBeGreaterThan(1000);
});
