import { beforeAll, describe, expect, it } from 'vitest';
import {
  fingerprintSecret,
  importSealKey,
  openSecret,
  type SealKey,
  sealSecret,
} from '../../src/pki/seal.ts';
import { type Bytes, toBase64, utf8 } from '../../src/std/bytes.ts';
import { Fault } from '../../src/std/outcome.ts';

const PLAIN = utf8('unlock token');
const CONTEXT = 'unlock-token/UDID-1';
let key: SealKey;

beforeAll(async () => {
  key = await importSealKey(toBase64(new Uint8Array(32).fill(7)));
});

async function open(sealed: Bytes, context = CONTEXT, by = key): Promise<string> {
  const opened = await openSecret(by, sealed, context);
  return opened.ok ? new TextDecoder().decode(opened.value) : opened.refusal.kind;
}

describe('a sealed secret', () => {
  it('opens for the same key and context', async () => {
    expect(await open(await sealSecret(key, PLAIN, CONTEXT))).toBe('unlock token');
    expect(await open(await sealSecret(key, new Uint8Array(0), CONTEXT))).toBe('');
  });

  it('has a version, a nonce of its own, and does not show what it holds', async () => {
    const [a, b] = await Promise.all([sealSecret(key, PLAIN, CONTEXT), sealSecret(key, PLAIN, CONTEXT)]);
    expect(a[0]).toBe(1);
    expect(a.length).toBe(1 + 12 + PLAIN.length + 16);
    expect(a.subarray(1, 13)).not.toEqual(b.subarray(1, 13));
    expect(a.subarray(13)).not.toEqual(b.subarray(13));
    expect(a.toHex()).not.toContain(PLAIN.toHex());
  });

  it('does not open for another context or key', async () => {
    const sealed = await sealSecret(key, PLAIN, CONTEXT);
    for (const context of ['', 'unlock-token/UDID-2', 'push-token/UDID-1', `${CONTEXT} `]) {
      expect(await open(sealed, context)).toBe('seal-broken');
    }
    const other = await importSealKey(toBase64(new Uint8Array(32).fill(8)));
    expect(await open(sealed, CONTEXT, other)).toBe('seal-broken');
  });

  it('does not open with any octet changed, cut or added', async () => {
    const sealed = await sealSecret(key, PLAIN, CONTEXT);
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice();
      changed[i] = (changed[i] as number) ^ 1;
      expect(await open(changed)).toBe('seal-broken');
      expect(await open(sealed.slice(0, i))).toBe('seal-broken');
    }
    expect(await open(new Uint8Array([...sealed, 0]))).toBe('seal-broken');
  });

  it('is read from a view with an offset', async () => {
    const sealed = await sealSecret(key, PLAIN, CONTEXT);
    const buffer = new Uint8Array(sealed.length + 5);
    buffer.set(sealed, 3);
    expect(await open(buffer.subarray(3, 3 + sealed.length))).toBe('unlock token');
  });
});

describe('a fingerprint', () => {
  const of = (plain: Bytes, context = CONTEXT, by = key) => fingerprintSecret(by, plain, context);

  it('is the same for the same secret in the same place, and for nothing else', async () => {
    const print = await of(PLAIN);
    expect(print).toMatch(/^[0-9a-f]{64}$/);
    expect(await of(PLAIN)).toBe(print);
    expect(await of(utf8('unlock tokem'))).not.toBe(print);
    expect(await of(PLAIN, 'unlock-token/UDID-2')).not.toBe(print);
    // The place ends where the secret begins.
    expect(await of(utf8('b'), 'a')).not.toBe(await of(utf8(''), 'ab'));
  });

  it('is another under another key, and no digest of the secret', async () => {
    const other = await importSealKey(toBase64(new Uint8Array(32).fill(8)));
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', PLAIN)).toHex();
    expect(new Set([await of(PLAIN), await of(PLAIN, CONTEXT, other), digest]).size).toBe(3);
  });
});

describe('the key', () => {
  it('is 32 octets in base64, else a fault that does not quote it', async () => {
    for (const length of [0, 16, 31, 33]) {
      const text = toBase64(new Uint8Array(length).fill(9));
      const error = await importSealKey(text).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Fault);
      if (text !== '') expect(String(error)).not.toContain(text);
    }
    expect(await importSealKey('not base64').catch((reason: unknown) => reason)).toBeInstanceOf(Fault);
  });
});
