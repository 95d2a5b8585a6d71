/** Rendered declarations at the edge. A key names the content, so what is found is right; what is missing is made. */
import type { ManifestEntry } from '../../domain/declaration/manifest.ts';
import type { RenderedDeclarations } from '../../domain/declaration/ports.ts';
import type { Bytes } from '../../std/bytes.ts';

/** Nothing refers to a rendering after its declaration is gone from every manifest; this is when it goes too. */
const TTL_SECONDS = 90 * 24 * 60 * 60;

export class KvRendered implements RenderedDeclarations {
  readonly #kv: KVNamespace;

  constructor(kv: KVNamespace) {
    this.#kv = kv;
  }

  async get(entry: ManifestEntry): Promise<Bytes | null> {
    try {
      const body = await this.#kv.get(key(entry), 'arrayBuffer');
      return body === null ? null : new Uint8Array(body);
    } catch {
      // A cache that does not answer is a cache that does not have it: the store is asked instead.
      return null;
    }
  }

  async put(entry: ManifestEntry, body: Bytes): Promise<void> {
    try {
      await this.#kv.put(key(entry), body, { expirationTtl: TTL_SECONDS });
    } catch {
      // Not cached; the next fetch renders it again.
    }
  }
}

function key(entry: ManifestEntry): string {
  return `declaration/${entry.identifier}/${entry.serverToken}`;
}
