/** Property lists from a seed: values, the XML that a careless but correct writer makes of them, and its mutations. */
import type { PlistValue } from '../../../src/protocol/plist/value.ts';
import { toBase64 } from '../../../src/std/bytes.ts';

/** mulberry32: small, and the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(n: number): number {
    return Math.floor(this.fraction() * n);
  }

  chance(p: number): boolean {
    return this.fraction() < p;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** A failing test names its seed. */
export const newSeed = (): number => Math.floor(Math.random() * 2 ** 31);

const PIECES = [
  'a',
  'Z',
  '0',
  ' ',
  '\n',
  '\t',
  '\r',
  '&',
  '<',
  '>',
  '"',
  "'",
  'é',
  '水',
  '😀',
  ']]>',
  '--',
  '#',
  ';',
  '$data',
  '__proto__',
];

export function randomText(random: Random, max = 12): string {
  let text = '';
  for (let n = random.below(max); n > 0; n--) text += random.pick(PIECES);
  return text;
}

export function randomValue(random: Random, depth = 0): PlistValue {
  switch (random.below(depth > 4 ? 8 : 11)) {
    case 0:
      return random.chance(0.5);
    case 1:
      return random.below(2 ** 31) - 2 ** 30;
    case 2:
      return random.pick([
        2n ** 53n,
        2n ** 64n - 1n,
        -(2n ** 63n),
        -(2n ** 53n) - 1n,
        BigInt(random.below(2 ** 31)) + 2n ** 60n,
      ]);
    case 3:
      return random.pick([0.5, -1.25, 1e300, 1e-9, 1.7976931348623157e308, random.fraction()]);
    case 4:
      return new Date(
        Date.UTC(
          1 + random.below(9000),
          random.below(12),
          1 + random.below(28),
          random.below(24),
          1,
          random.below(60),
        ),
      );
    case 5: {
      const bytes = new Uint8Array(random.below(70));
      for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
      return bytes;
    }
    case 6:
    case 7:
      return randomText(random);
    case 8:
      return Array.from({ length: random.below(5) }, () => randomValue(random, depth + 1));
    default: {
      const dict = new Map<string, PlistValue>();
      for (let n = random.below(6); n > 0; n--)
        dict.set(randomText(random, 6), randomValue(random, depth + 1));
      return dict;
    }
  }
}

/** Every spelling that XML leaves open is chosen at random. */
export function writeCarelessly(random: Random, value: PlistValue): string {
  const declaration = random.chance(0.8) ? '<?xml version="1.0" encoding="UTF-8"?>' : '';
  const doctype = random.chance(0.8)
    ? '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
    : '';
  const gap = () => filler(random);
  const version = random.chance(0.8) ? ' version="1.0"' : '';
  return `${declaration}${gap()}${doctype}${gap()}<plist${version}>${gap()}${element(random, value)}${gap()}</plist>${gap()}`;
}

function filler(random: Random): string {
  return random.pick(['', '', '\n', '\n\t', ' ', '\r\n', '<!-- c -->', '\n<!---->\n']);
}

function element(random: Random, value: PlistValue): string {
  if (typeof value === 'string') return tag(random, 'string', characters(random, value));
  if (typeof value === 'boolean') return tag(random, String(value), '');
  if (typeof value === 'bigint') return tag(random, 'integer', String(value));
  if (typeof value === 'number')
    return tag(random, Number.isSafeInteger(value) ? 'integer' : 'real', String(value));
  if (value instanceof Date) return tag(random, 'date', `${value.toISOString().slice(0, 19)}Z`);
  if (value instanceof Uint8Array)
    return tag(random, 'data', toBase64(value).replace(/.{20}/g, random.chance(0.5) ? '$&' : '$&\n\t'));
  let inner = filler(random);
  if (Array.isArray(value)) {
    for (const item of value) inner += element(random, item) + filler(random);
    return tag(random, 'array', inner);
  }
  for (const [key, item] of value) {
    inner +=
      tag(random, 'key', characters(random, key)) + filler(random) + element(random, item) + filler(random);
  }
  return tag(random, 'dict', inner);
}

function tag(random: Random, name: string, inner: string): string {
  const space = () => (random.chance(0.03) ? ' ' : '');
  if (inner === '' && random.chance(0.5)) return `<${name}${space()}/>`;
  return `<${name}${space()}>${inner}</${name}${space()}>`;
}

function characters(random: Random, text: string): string {
  let out = '';
  for (const c of text) {
    const code = c.codePointAt(0) as number;
    if (c === '\r' || random.chance(0.05))
      out += random.chance(0.5) ? `&#${code};` : `&#x${code.toString(16)};`;
    else if (c === '&') out += '&amp;';
    else if (c === '<') out += random.chance(0.3) ? '<![CDATA[<]]>' : '&lt;';
    else if (c === '>') out += '&gt;';
    else if (c === '"' && random.chance(0.5)) out += '&quot;';
    else if (c === "'" && random.chance(0.5)) out += '&apos;';
    else if (random.chance(0.02)) out += `<!-- x -->${c}`;
    else out += c;
  }
  return out;
}

const SPLICES = [
  '<',
  '>',
  '&',
  ';',
  '/',
  '!',
  '-',
  '[',
  ']',
  '"',
  '=',
  '?',
  ' ',
  '\n',
  '\r\n',
  '\0',
  '0',
  'a',
  '.',
  '+',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '&#',
  '&#0;',
  '&#65;',
  '&#xD800;',
  '&amp;',
  '&lt;',
  '&x;',
  '&nbsp;',
  '<key>',
  '</key>',
  '<dict>',
  '</dict>',
  '<dict/>',
  '<string>',
  '</string>',
  '<string/>',
  '<integer>1</integer>',
  '<true/>',
  '</plist>',
  '<plist>',
  '<?pi x?>',
  '<!DOCTYPE plist>',
  '<!DOCTYPE plist [<!ENTITY a "b">]>',
  '\ufeff',
  '\u0085',
  '\u2028',
  '\ufffe',
  '<data>AA</data>',
  ' version="1.0"',
  '<array>',
  '</array>',
];

/** A few edits: cut, repeat, splice in what has a meaning. */
export function mutate(random: Random, text: string): string {
  let out = text;
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(out.length + 1);
    const end = at + random.below(random.chance(0.5) ? 3 : 30);
    switch (random.below(4)) {
      case 0:
        out = out.slice(0, at) + out.slice(end);
        break;
      case 1:
        out = out.slice(0, end) + out.slice(at, end) + out.slice(end);
        break;
      case 2:
        out = out.slice(0, at) + random.pick(SPLICES) + out.slice(at);
        break;
      default:
        out = out.slice(0, at) + random.pick(SPLICES) + out.slice(end);
    }
  }
  // A cut may leave half of a surrogate pair, which no bytes can say.
  return out.toWellFormed();
}
