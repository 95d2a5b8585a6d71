/**
 * Takes the content-encryption key out of a decrypted RSAES-PKCS1-v1_5 block (RFC 8017 §7.2.2) without saying
 * whether the padding was right: implicit rejection.
 *
 * The cipher fixes the key's length, so every octet of a right block has a fixed place:
 *
 *     00 | 02 | PS: at least 8 octets, none zero | 00 | key
 *
 * All octets are looked at, always, with no branch or index that depends on them. A wrong block yields the
 * substitute. What follows (CBC decryption, reading) then fails as it would for any garbled message, so neither
 * Bleichenbacher's question (is it 00 02 …?) nor Manger's (is the first octet zero?) gets an answer.
 *
 * A JavaScript engine promises nothing about time; this is straight-line integer code over a typed array, the
 * best that can be had, and the blinded RSA operation before it costs a hundred times as much.
 */
import type { Bytes } from '../std/bytes.ts';

/** `substitute` has the length of the key that is expected; it is what a wrong block yields. */
export function unpadOrSubstitute(block: Uint8Array, substitute: Uint8Array): Bytes {
  const separator = block.length - substitute.length - 1;
  // The shape is public (modulus size and cipher), so this branch tells nothing.
  if (separator < 10) return Uint8Array.from(substitute);
  let wrong = (block[0] as number) | ((block[1] as number) ^ 0x02) | (block[separator] as number);
  for (let i = 2; i < separator; i++) wrong |= oneIfZero(block[i] as number);
  // 0xff when the block is right, 0 when it is not.
  const keep = -oneIfZero(wrong) & 0xff;
  const key = new Uint8Array(substitute.length);
  for (let i = 0; i < key.length; i++) {
    const found = block[separator + 1 + i] as number;
    const other = substitute[i] as number;
    key[i] = other ^ ((found ^ other) & keep);
  }
  return key;
}

/** 1 for 0, 0 for 1 to 255, without a branch: only 0 - 1 sets the sign bit. */
function oneIfZero(octet: number): number {
  return ((octet - 1) >>> 31) & 1;
}
