/** `If-Match` and `If-None-Match` (RFC 9110 §13.1), as those rooms understand them whose records have a token. */

/** What the caller believes of a record: not there, there, or there with one of these tokens. */
export type Precondition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'present' }
  | { readonly kind: 'tokens'; readonly tokens: readonly string[] };

export type PreconditionFailed = { readonly kind: 'precondition-failed' };

/** `current` is the record's token, or null where there is none. */
export function isFulfilled(precondition: Precondition, current: string | null): boolean {
  switch (precondition.kind) {
    case 'absent':
      return current === null;
    case 'present':
      return current !== null;
    default:
      return current !== null && precondition.tokens.includes(current);
  }
}
