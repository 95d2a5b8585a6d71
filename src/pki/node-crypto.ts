/**
 * `node:crypto`, for what WebCrypto lacks: RSAES-PKCS1-v1_5, 3DES, and the thousands of hashes in a row that a key
 * from a password takes. Loading it costs 3-7 ms once per isolate, so that waits for the first request that needs it. The module is kept, not the promise of it: a promise belongs to the request
 * that made it, and would stay open for ever if that request were canceled.
 */
type NodeCrypto = Pick<
  typeof import('node:crypto'),
  | 'constants'
  | 'createCipheriv'
  | 'createDecipheriv'
  | 'createHash'
  | 'createHmac'
  | 'createPrivateKey'
  | 'createPublicKey'
  | 'pbkdf2Sync'
  | 'privateDecrypt'
  | 'publicEncrypt'
> & { readonly Buffer: typeof import('node:buffer').Buffer };

let loaded: NodeCrypto | null = null;

export async function nodeCrypto(): Promise<NodeCrypto> {
  if (loaded !== null) return loaded;
  const [module, { Buffer }] = await Promise.all([import('node:crypto'), import('node:buffer')]);
  loaded = { ...module, Buffer };
  return loaded;
}
