/**
 * The leaf forms of a property list: text to value, `undefined` when the text is not of the form. Strict on purpose:
 * no white space around numbers and dates, no calendar that rolls over. `nan` and `infinity`, which Apple's reader knows,
 * are refused, in XML and in binary: JSON has no such numbers, a string in their place would be another value, and no
 * message on this wire has a use for them.
 */
import { INTEGER_MAX, INTEGER_MIN } from './value.ts';

/** 2^64-1 has 20 digits. */
const INTEGER = /^[+-]?[0-9]{1,20}$/;
/** 15 digits are always a safe integer. */
const SHORT_INTEGER = /^[0-9]{1,15}$/;
/** 17 digits say every double; the bound only keeps the work small. */
const REAL_CHARS_MAX = 64;
const REAL = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
/** Apple's reader takes these; its writer writes decimals. */
const HEXADECIMAL = /^0[xX][0-9a-fA-F]{1,16}$/;
/** ISO 8601 in UTC without a fraction, as Apple writes it. The year 0 is that of `NSDate.distantPast`: 0000-12-30. */
const DATE = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

/** The content of `<integer>`. */
export function readInteger(text: string): number | bigint | undefined {
  return HEXADECIMAL.test(text) ? narrowInteger(BigInt(text)) : readDecimal(text);
}

export function readDecimal(text: string): number | bigint | undefined {
  if (SHORT_INTEGER.test(text)) return Number(text);
  if (!INTEGER.test(text)) return undefined;
  return narrowInteger(text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', '')));
}

/** A number wherever that is exact; `undefined` past what the format holds. */
export function narrowInteger(value: bigint): number | bigint | undefined {
  if (value < INTEGER_MIN || value > INTEGER_MAX) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function readReal(text: string): number | undefined {
  if (text.length > REAL_CHARS_MAX || !REAL.test(text)) return undefined;
  const value = Number(text);
  // Adding zero turns -0 into 0, which the encoder could not tell apart.
  return Number.isFinite(value) ? value + 0 : undefined;
}

export function readDate(text: string): Date | undefined {
  if (!DATE.test(text)) return undefined;
  const value = new Date(text);
  // February 30 would come back as March: only what reads back the same is a date.
  return !Number.isNaN(value.getTime()) && writeDate(value) === text ? value : undefined;
}

/** Four digits of year, and not an invalid date, whose year is NaN. */
export function isWritableDate(value: Date): boolean {
  const year = value.getUTCFullYear();
  return year >= 0 && year <= 9999;
}

/** Seconds are the format's resolution; a fraction is dropped. */
export function writeDate(value: Date): string {
  return `${value.toISOString().slice(0, -5)}Z`;
}
