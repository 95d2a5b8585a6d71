/** Fetches another server's published token keys: bounded in time and size, and never redirected. */
import { Unavailable } from '../std/outcome.ts';

const TIMEOUT_MS = 5000;
/** A P-256 JWK has 250 bytes; 64 KiB hold more keys than any rotation. */
const JWKS_BYTES_MAX = 64 * 1024;

/** The decoded JSON. Throws `Unavailable` for anything but a small 200. */
export async function fetchJwks(url: string): Promise<unknown> {
  try {
    // `redirect: 'error'` throws in this runtime even without a redirect.
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    const text = await readText(response);
    return JSON.parse(text);
  } catch (error) {
    throw new Unavailable('issuer-keys', 'the keys of another issuer cannot be had', error);
  }
}

async function readText(response: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part, { stream: true });
    if (text.length > JWKS_BYTES_MAX) throw new Error('too large');
  }
  return text;
}
