/**
 * Byte strings and their text forms. Decoders return `null` for malformed input; callers name the refusal.
 * A view keeps its offset: nothing here, or anywhere, reads `view.buffer` alone.
 */

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

export function utf8(text: string): Bytes {
  return encoder.encode(text) as Bytes;
}

/** UTF-8 text without a byte order mark, or `null` when the bytes are not well-formed UTF-8. */
export function readUtf8(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    // The decoder's only failure is malformed input, which is this function's `null`.
    return null;
  }
}

export function concatBytes(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Compares without a data-dependent branch; only the lengths may be learned from its time. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

export function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** Standard alphabet, white space allowed, padding required (RFC 4648 §4), as in plist `<data>`. */
export function fromBase64(text: string): Bytes | null {
  return decode(text, { alphabet: 'base64', lastChunkHandling: 'strict' });
}

export function toBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: 'base64url', omitPadding: true });
}

/** URL-safe alphabet without padding (RFC 7515 §2). */
export function fromBase64Url(text: string): Bytes | null {
  return /[=\s]/.test(text) ? null : decode(text, { alphabet: 'base64url', lastChunkHandling: 'loose' });
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

export function fromHex(text: string): Bytes | null {
  try {
    return Uint8Array.fromHex(text);
  } catch {
    // A SyntaxError is the one way this fails: not hexadecimal.
    return null;
  }
}

type Base64Options = NonNullable<Parameters<typeof Uint8Array.fromBase64>[1]>;

function decode(text: string, options: Base64Options): Bytes | null {
  try {
    return Uint8Array.fromBase64(text, options);
  } catch {
    // A SyntaxError is the one way this fails: not base64.
    return null;
  }
}
