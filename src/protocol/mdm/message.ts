/**
 * Reads the fields of a device's message: a property list dictionary, field by field, each with its limit. The first
 * field that is missing or wrong is the refusal; fields nobody asks for are left alone, since devices send more with
 * every release.
 */
import {
  type CommandUuid,
  parseCommandUuid,
  parseSerialNumber,
  parseUdid,
  type SerialNumber,
  type Udid,
} from '../../domain/ids.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { PlistRefusal } from '../plist/parse.ts';
import { isDict, type PlistDict, type PlistValue } from '../plist/value.ts';

export type MalformedMessage = {
  readonly kind: 'malformed-message';
  readonly field: string;
  readonly reason: 'missing' | 'wrong-type' | 'empty' | 'too-long' | 'malformed' | 'unknown-value';
};

export type MessageRefusal = PlistRefusal | MalformedMessage;

/** Versions, product names, topics: the longest seen has 70 characters. */
export const STRING_CHARS_MAX = 1024;

/**
 * Reads return a placeholder once something is refused, so that a message is read in one expression; `finish` is the
 * only way out, and it gives the refusal.
 */
export class MessageReader {
  readonly #dict: PlistDict;
  readonly #prefix: string;
  #refusal: MalformedMessage | null = null;

  /** `prefix` goes before the field's name in a refusal, for dictionaries inside a message. */
  constructor(dict: PlistDict, prefix = '') {
    this.#dict = dict;
    this.#prefix = prefix;
  }

  has(field: string): boolean {
    return this.#dict.has(field);
  }

  string(field: string, charsMax = STRING_CHARS_MAX): string {
    const value = this.optionalString(field, charsMax);
    if (value === null) this.fail(field, 'missing');
    else if (value === '') this.fail(field, 'empty');
    return value ?? '';
  }

  optionalString(field: string, charsMax = STRING_CHARS_MAX): string | null {
    const value = this.#dict.get(field);
    if (value === undefined) return null;
    if (typeof value !== 'string') return this.fail(field, 'wrong-type');
    return value.length > charsMax ? this.fail(field, 'too-long') : value;
  }

  data(field: string, bytesMax: number): Bytes {
    const value = this.optionalData(field, bytesMax);
    if (value === null) this.fail(field, 'missing');
    else if (value.length === 0) this.fail(field, 'empty');
    return value ?? new Uint8Array(0);
  }

  optionalData(field: string, bytesMax: number): Bytes | null {
    const value = this.#dict.get(field);
    if (value === undefined) return null;
    if (!(value instanceof Uint8Array)) return this.fail(field, 'wrong-type');
    return value.length > bytesMax ? this.fail(field, 'too-long') : value;
  }

  optionalBoolean(field: string): boolean | null {
    const value = this.#dict.get(field);
    if (value === undefined) return null;
    return typeof value === 'boolean' ? value : this.fail(field, 'wrong-type');
  }

  optionalDict(field: string): PlistDict | null {
    const value = this.#dict.get(field);
    if (value === undefined) return null;
    return isDict(value) ? value : this.fail(field, 'wrong-type');
  }

  optionalArray(field: string): readonly PlistValue[] | null {
    const value = this.#dict.get(field);
    if (value === undefined) return null;
    return Array.isArray(value) ? value : this.fail(field, 'wrong-type');
  }

  udid(field = 'UDID'): Udid {
    return this.#identifier(field, parseUdid) ?? (this.fail(field, 'missing') as never);
  }

  serialNumber(field: string): SerialNumber {
    return this.#identifier(field, parseSerialNumber) ?? (this.fail(field, 'missing') as never);
  }

  optionalSerialNumber(field: string): SerialNumber | null {
    return this.#identifier(field, parseSerialNumber);
  }

  optionalCommandUuid(field: string): CommandUuid | null {
    return this.#identifier(field, parseCommandUuid);
  }

  /** The first refusal stays; reading goes on with placeholders. */
  fail(field: string, reason: MalformedMessage['reason']): null {
    this.#refusal ??= { kind: 'malformed-message', field: this.#prefix + field, reason };
    return null;
  }

  finish<T>(value: T): Outcome<T, MalformedMessage> {
    return this.#refusal === null ? ok(value) : refuse(this.#refusal);
  }

  #identifier<T>(field: string, parse: (value: unknown) => Outcome<T, { kind: string }>): T | null {
    const value = this.#dict.get(field);
    if (value === undefined) return null;
    if (typeof value !== 'string') return this.fail(field, 'wrong-type');
    const parsed = parse(value);
    return parsed.ok ? parsed.value : this.fail(field, 'malformed');
  }
}
