/**
 * The leaf forms of a property list: text to value, `undefined` when the text is not of the form. Strict on purpose:
 * no white space around numbers and dates, no hexadecimal integers and no `nan` or `infinity` (Apple's reader knows
 * these; no message on this wire has a use for them), no calendar that rolls over.
 */
import { INTEGER_MAX, INTEGER_MIN } from './value.ts';

/** 2^64-1 has 20 digits. */
const INTEGER = /^[+-]?[0-9]{1,20}$/;
/** 15 digits are always a safe integer. */
const SHORT_INTEGER = /^[0-9]{1,15}$/;
/** 17 digits say every double; the bound only keeps the work small. */
const REAL_CHARS_MAX = 64;
const REAL = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
/** ISO 8601 in UTC without a fraction, as Apple writes it. Years from 1: other readers know no year 0. */
const DATE = /^(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

export function readInteger(text: string): number | bigint | undefined {
  if (SHORT_INTEGER.test(text)) return Number(text);
  if (!INTEGER.test(text)) return undefined;
  const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', ''));
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

/** Seconds are the format's resolution; a fraction is dropped. */
export function writeDate(value: Date): string {
  return `${value.toISOString().slice(0, -5)}Z`;
}
