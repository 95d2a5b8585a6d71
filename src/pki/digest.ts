/** SHA-256, as bytes and as the lower-case hex that records and pins hold. */
import { type Bytes, toHex } from '../std/bytes.ts';

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

export async function sha256Hex(bytes: Bytes): Promise<string> {
  return toHex(await sha256(bytes));
}
