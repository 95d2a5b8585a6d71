/**
 * What a property list holds, once read. A dictionary is a `Map`, so no key of a device's choosing can reach a
 * prototype, and its order is the document's.
 */
import type { Bytes } from '../../std/bytes.ts';

/**
 * `integer` is a number when it is safe as one and a bigint otherwise. A `real` with an integral value is not told
 * apart from an integer: nothing on this wire depends on it.
 */
export type PlistValue = string | number | bigint | boolean | Date | Bytes | PlistValue[] | PlistDict;

export type PlistDict = ReadonlyMap<string, PlistValue>;

/** -2^63 … 2^64-1: what Apple's own reader holds, signed or unsigned. */
export const INTEGER_MIN = -(2n ** 63n);
export const INTEGER_MAX = 2n ** 64n - 1n;

/** 32 levels: the deepest profile known to us has 9. 20,000 values: a list of 1,000 apps with 20 keys each. */
export interface PlistLimits {
  readonly depthMax: number;
  readonly nodesMax: number;
}

export const PLIST_LIMITS: PlistLimits = { depthMax: 32, nodesMax: 20_000 };
/** Of command results: 2,500 installed apps of eight keys are 42,000 values. 1 MiB of the shortest holds 150,000. */
export const RESULT_LIMITS: PlistLimits = { depthMax: 32, nodesMax: 150_000 };

export function isDict(value: PlistValue | undefined): value is PlistDict {
  return value instanceof Map;
}
