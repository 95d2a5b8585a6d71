/**
 * How code says "no". A value that could not be read or is not allowed is an `Outcome`, never an exception;
 * what may be retried (`Unavailable`) or is our own mistake (`Fault`) is thrown and caught once, at the edge.
 */

/** Either the value, or the refusal with its facts. `R` is a closed union discriminated by `kind`. */
export type Outcome<T, R extends { readonly kind: string }> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: R };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function refuse<R extends { readonly kind: string }>(
  refusal: R,
): { readonly ok: false; readonly refusal: R } {
  return { ok: false, refusal };
}

/** The root of everything this project throws. `code` is stable; `message` is for people. */
export class EscapementError extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
  }
}

/** A dependency failed; the same request may succeed later. Devices are told 503 with `Retry-After`. */
export class Unavailable extends EscapementError {}

/** Our bug, or a broken configuration. */
export class Fault extends EscapementError {}
