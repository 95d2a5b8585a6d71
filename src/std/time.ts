/** Time is passed in, never read: the edge reads the clock once a request and hands it down. */

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number & { readonly __epochMs: unique symbol };

export function epochMs(value: number): EpochMs {
  return value as EpochMs;
}

export function addMs(at: EpochMs, ms: number): EpochMs {
  return (at + ms) as EpochMs;
}

/** RFC 3339 in UTC without a fraction, as Apple's `Timestamp` wants it: 2026-01-31T12:00:00Z. */
export function toTimestamp(at: EpochMs): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
