/**
 * Cursors as clients see them: base64url of a JSON array [listing and filter, the service's cursor, check].
 * A cursor belongs to one listing with one filter. The check (FNV-1a) catches damage and editing by hand; it is
 * no authenticator, because a cursor grants nothing that its holder could not list anyway.
 */
import type { MalformedCursor } from '../../domain/admin/services.ts';
import { fromBase64Url, readUtf8, toBase64Url, utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';

/**
 * A service's cursor holds a time and an identifier of at most 128 characters; four status items in the filter have at
 * most 4 × (50 + 3 × 64) octets, and base64 a third more.
 */
export const CURSOR_CHARS_MAX = 2048;

export function encodeCursor(scope: string, cursor: string | null): string | null {
  if (cursor === null) return null;
  return toBase64Url(utf8(JSON.stringify([scope, cursor, check(scope, cursor)])));
}

/** The service's own cursor; `null` asks for the first page. */
export function decodeCursor(
  scope: string,
  text: string | undefined,
): Outcome<string | null, MalformedCursor> {
  if (text === undefined) return ok(null);
  const parts = parseArray(text);
  const [ofScope, cursor, sum] = parts ?? [];
  if (parts?.length !== 3 || ofScope !== scope || typeof cursor !== 'string') return malformed;
  return sum === check(scope, cursor) ? ok(cursor) : malformed;
}

const malformed = refuse<MalformedCursor>({ kind: 'malformed-cursor' });

function parseArray(text: string): unknown[] | null {
  const bytes = text.length <= CURSOR_CHARS_MAX ? fromBase64Url(text) : null;
  const json = bytes === null ? null : readUtf8(bytes);
  if (json === null) return null;
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : null;
  } catch {
    // Not JSON: not a cursor of ours.
    return null;
  }
}

function check(scope: string, cursor: string): number {
  let hash = 0x811c9dc5;
  for (const byte of utf8(`${scope}\n${cursor}`)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
