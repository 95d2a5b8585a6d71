/** Messages as devices write them, and readers' common duties: each field missing, wrong, at and past its limit. */
import { expect, it } from 'vitest';
import { encodePlist, type PlistInput } from '../../../src/protocol/plist/encode.ts';
import { type Bytes, concatBytes, readUtf8, utf8 } from '../../../src/std/bytes.ts';
import type { Outcome } from '../../../src/std/outcome.ts';
import { mutate, newSeed, Random } from '../plist/generate.ts';

export type Message = Readonly<Record<string, PlistInput>>;
type Parse<T> = (bytes: Bytes) => Outcome<T, { readonly kind: string }>;

export const bytesOf = (length: number): Bytes => new Uint8Array(length).fill(7);

export function refusalOf<T>(parse: Parse<T>, message: Message): unknown {
  const parsed = parse(encodePlist(message));
  return parsed.ok ? null : parsed.refusal;
}

export function readValue<T>(parse: Parse<T>, message: Message): T {
  const parsed = parse(encodePlist(message));
  if (!parsed.ok) throw new Error(`refused: ${JSON.stringify(parsed.refusal)}`);
  return parsed.value;
}

/** What every reader of a message must do with bytes. */
export function readsBytesStrictly<T>(parse: Parse<T>, message: Message): void {
  const bytes = encodePlist(message);

  it('reads a view with an offset', () => {
    const around = concatBytes(utf8('<plist>'), bytes, utf8('</plist>'));
    const view = around.subarray(7, 7 + bytes.length);
    expect(parse(view)).toEqual({
      ok: true,
      value: { ...readValue(parse, message), ...rawOf(parse(bytes), view) },
    });
  });

  it('refuses the message cut at every byte', () => {
    const kinds = new Set<string>();
    // The last byte is the line end after the document.
    for (let length = 0; length < bytes.length - 1; length++) {
      const parsed = parse(bytes.subarray(0, length));
      kinds.add(parsed.ok ? `accepted at ${length}` : parsed.refusal.kind);
    }
    expect([...kinds]).toEqual(['malformed-plist']);
  });

  it('refuses bytes after the message', () => {
    expect(parse(concatBytes(bytes, utf8('x'))).ok).toBe(false);
  });

  it('refuses what is no dictionary, and a binary property list', () => {
    expect(parse(encodePlist([message])).ok).toBe(false);
    expect(parse(concatBytes(utf8('bplist00'), new Uint8Array(37))).ok).toBe(false);
  });

  it('does not throw on mutations', () => {
    const seed = newSeed();
    const random = new Random(seed);
    const text = readUtf8(bytes) as string;
    for (let n = 0; n < 1500; n++) {
      const mutated = utf8(mutate(random, text));
      expectNoThrow(() => parse(mutated), `seed ${seed}, mutation ${n}`);
    }
  });
}

/** `expect` itself is most of the time in a loop of thousands. */
function expectNoThrow(run: () => unknown, context: string): void {
  try {
    run();
  } catch (error) {
    throw new Error(`${context}: threw`, { cause: error });
  }
}

function rawOf<T>(parsed: Outcome<T, { readonly kind: string }>, raw: Bytes): object {
  return parsed.ok && typeof parsed.value === 'object' && parsed.value !== null && 'raw' in parsed.value
    ? { raw }
    : {};
}

interface Field {
  readonly field: string;
  readonly required: boolean;
  readonly wrong: PlistInput;
  /** The largest that is read, and one past it. */
  readonly most?: PlistInput;
  readonly tooMuch?: PlistInput;
  /** Whether an empty one is refused. */
  readonly empty?: PlistInput;
}

/** Each field of a message by itself. */
export function readsFields<T>(parse: Parse<T>, message: Message, fields: readonly Field[]): void {
  const malformed = (field: string, reason: string) => ({ kind: 'malformed-message', field, reason });

  it.each(fields)('reads $field within its limit', ({ field, required, wrong, most, tooMuch, empty }) => {
    const { [field]: _, ...without } = message;
    expect(refusalOf(parse, without)).toEqual(required ? malformed(field, 'missing') : null);
    expect(refusalOf(parse, { ...message, [field]: wrong })).toEqual(malformed(field, 'wrong-type'));
    if (most !== undefined) expect(refusalOf(parse, { ...message, [field]: most })).toBeNull();
    if (tooMuch !== undefined)
      expect(refusalOf(parse, { ...message, [field]: tooMuch })).toEqual(malformed(field, 'too-long'));
    if (empty !== undefined)
      expect(refusalOf(parse, { ...message, [field]: empty })).toEqual(malformed(field, 'empty'));
  });
}

export const text = (field: string, charsMax: number, required = true): Field => ({
  field,
  required,
  wrong: 5,
  most: 'x'.repeat(charsMax),
  tooMuch: 'x'.repeat(charsMax + 1),
  ...(required ? { empty: '' } : {}),
});

export const data = (field: string, bytesMax: number, required = true): Field => ({
  field,
  required,
  wrong: 'AAAA',
  most: bytesOf(bytesMax),
  tooMuch: bytesOf(bytesMax + 1),
  ...(required ? { empty: bytesOf(0) } : {}),
});
