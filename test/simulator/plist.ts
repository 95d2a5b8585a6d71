/**
 * XML property lists by hand. The writer uses Apple's layout; the reader is a tokenizer of one regular
 * expression and a stack, strict enough to notice a server that writes something else than a property list.
 */
import { Buffer } from 'node:buffer';

export type Plist = string | number | boolean | Date | Buffer | Plist[] | { [key: string]: Plist };
export type PlistDict = { [key: string]: Plist };

export class PlistError extends Error {}

const HEAD =
  '<?xml version="1.0" encoding="UTF-8"?>\n' +
  '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n' +
  '<plist version="1.0">\n';

export function writePlist(value: Plist): Buffer {
  return Buffer.from(`${HEAD}${lines(value, '').join('\n')}\n</plist>\n`);
}

function lines(value: Plist, indent: string): string[] {
  if (typeof value === 'string') return [`${indent}<string>${escapeXml(value)}</string>`];
  if (typeof value === 'boolean') return [`${indent}<${value}/>`];
  if (typeof value === 'number') {
    const element = Number.isInteger(value) ? 'integer' : 'real';
    return [`${indent}<${element}>${value}</${element}>`];
  }
  if (value instanceof Date) return [`${indent}<date>${value.toISOString().replace(/\.\d+Z$/, 'Z')}</date>`];
  if (value instanceof Uint8Array) {
    const text =
      Buffer.from(value)
        .toString('base64')
        .match(/.{1,68}/g) ?? [];
    return [`${indent}<data>`, ...text.map((line: string) => `${indent}${line}`), `${indent}</data>`];
  }
  const deeper = `${indent}\t`;
  if (Array.isArray(value)) {
    return [`${indent}<array>`, ...value.flatMap((item) => lines(item, deeper)), `${indent}</array>`];
  }
  const entries = Object.entries(value).flatMap(([key, item]) => [
    `${deeper}<key>${escapeXml(key)}</key>`,
    ...lines(item, deeper),
  ]);
  return [`${indent}<dict>`, ...entries, `${indent}</dict>`];
}

/** `'` goes out as `&#39;`, which real devices do (facts 19.7). */
function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/'/g, '&#39;');
}

const TOKEN = /<\?[\s\S]*?\?>|<!--[\s\S]*?-->|<!DOCTYPE[^>[]*>|<(\/?)([A-Za-z]+)([^>]*?)(\/?)>|([^<]+)/gy;

interface Frame {
  readonly name: string;
  readonly items: Plist[];
  readonly keys: string[];
  text: string;
}

export function readPlist(bytes: Uint8Array): Plist {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  const root: Frame = { name: '', items: [], keys: [], text: '' };
  const stack: Frame[] = [root];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new PlistError(`no XML at character ${at}`);
    const [, close, name, , selfClose, chars] = match;
    const top = stack[stack.length - 1]!;
    if (chars !== undefined) top.text += chars;
    else if (name === undefined) continue;
    else if (close === '/') finish(stack, name);
    else {
      if (['string', 'integer', 'real', 'data', 'date', 'key'].includes(top.name)) {
        throw new PlistError(`<${name}> inside <${top.name}>`);
      }
      stack.push({ name, items: [], keys: [], text: '' });
      if (selfClose === '/') finish(stack, name);
    }
  }
  if (stack.length !== 1 || root.items.length !== 1 || root.text.trim() !== '')
    throw new PlistError('not one plist element');
  return root.items[0]!;
}

function finish(stack: Frame[], name: string): void {
  const frame = stack.pop()!;
  const parent = stack[stack.length - 1];
  if (frame.name !== name || parent === undefined) throw new PlistError(`</${name}> closes <${frame.name}>`);
  if (name === 'key') {
    if (parent.name !== 'dict') throw new PlistError('<key> outside <dict>');
    if (parent.keys.length !== parent.items.length)
      throw new PlistError(`key ${parent.keys.at(-1)} has no value`);
    const key = unescapeXml(frame.text);
    if (parent.keys.includes(key)) throw new PlistError(`key ${key} twice`);
    parent.keys.push(key);
    return;
  }
  if (parent.name === 'dict' && parent.keys.length !== parent.items.length + 1) {
    throw new PlistError(`<${name}> in a <dict> without a key`);
  }
  parent.items.push(plistValue(frame));
}

function plistValue({ name, items, keys, text }: Frame): Plist {
  const container = name === 'dict' || name === 'array' || name === 'plist';
  if (container && text.trim() !== '') throw new PlistError(`text inside <${name}>`);
  switch (name) {
    case 'plist':
      if (items.length !== 1) throw new PlistError('a plist of more or less than one value');
      return items[0]!;
    case 'dict':
      if (keys.length !== items.length) throw new PlistError(`key ${keys.at(-1)} has no value`);
      return Object.fromEntries(keys.map((key, index) => [key, items[index]!]));
    case 'array':
      return items;
    case 'true':
    case 'false':
      return name === 'true';
    case 'string':
      return unescapeXml(text);
    case 'integer':
    case 'real':
      return numberOf(name, text);
    case 'date':
      if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) throw new PlistError(`not a date: ${text}`);
      return new Date(text);
    case 'data':
      if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text.replace(/\s/g, ''))) {
        throw new PlistError('not base64');
      }
      return Buffer.from(text, 'base64');
    default:
      throw new PlistError(`<${name}> is not a plist element`);
  }
}

function numberOf(name: string, text: string): number {
  const form = name === 'integer' ? /^-?\d+$/ : /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
  if (!form.test(text)) throw new PlistError(`not a number: ${text}`);
  return Number(text);
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&([^;]*);?/g, (whole, name: string) => {
    const number = /^#(?:x([0-9A-Fa-f]+)|(\d+))$/.exec(name);
    if (number !== null)
      return String.fromCodePoint(Number.parseInt(number[1] ?? number[2]!, number[1] ? 16 : 10));
    const found = ENTITIES[name];
    if (found === undefined || !whole.endsWith(';')) throw new PlistError(`entity ${whole} is not known`);
    return found;
  });
}

/** The dictionary a document must hold. */
export function readDict(bytes: Uint8Array): PlistDict {
  const value = readPlist(bytes);
  if (!isDict(value)) throw new PlistError('the root is not a dictionary');
  return value;
}

export function isDict(value: Plist | undefined): value is PlistDict {
  return (
    typeof value === 'object' &&
    !Array.isArray(value) &&
    !(value instanceof Date) &&
    !(value instanceof Uint8Array)
  );
}
