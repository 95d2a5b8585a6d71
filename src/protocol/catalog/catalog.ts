/**
 * The catalog of both platforms: what may be declared, ordered, installed and reported, made by
 * `scripts/catalog.ts`. A kind is loaded when it is first asked for and a type decoded when it is first found; both
 * then stay with the isolate. Validation is in `validate.ts`, platforms and versions in `support.ts`.
 */
import type { Platform } from '../../domain/ids.ts';
import index from './data/index.json' with { type: 'json' };
import { decodeEntry } from './encoded.ts';
import { CATALOG_KINDS, type CatalogEntry, type CatalogKind } from './entry.ts';

interface KindModule {
  readonly default: { readonly types: Readonly<Record<string, string>> };
}

const modules: Readonly<Record<CatalogKind, () => Promise<KindModule>>> = {
  activation: () => import('./data/activation.json', { with: { type: 'json' } }),
  configuration: () => import('./data/configuration.json', { with: { type: 'json' } }),
  asset: () => import('./data/asset.json', { with: { type: 'json' } }),
  management: () => import('./data/management.json', { with: { type: 'json' } }),
  credential: () => import('./data/credential.json', { with: { type: 'json' } }),
  status: () => import('./data/status.json', { with: { type: 'json' } }),
  command: () => import('./data/command.json', { with: { type: 'json' } }),
  checkin: () => import('./data/checkin.json', { with: { type: 'json' } }),
  profile: () => import('./data/profile.json', { with: { type: 'json' } }),
  error: () => import('./data/error.json', { with: { type: 'json' } }),
  protocol: () => import('./data/protocol.json', { with: { type: 'json' } }),
  base: () => import('./data/base.json', { with: { type: 'json' } }),
  other: () => import('./data/other.json', { with: { type: 'json' } }),
};

export interface CatalogSchema {
  readonly schema: string;
  readonly repository?: string;
  readonly commit?: string;
}

/** Changes whenever anything in the catalog does. */
export const catalogVersion: string = index.version;
/** Where the facts come from, oldest first. */
export const catalogSchemas: readonly CatalogSchema[] = index.schemas;
/** How many types there are of each kind. */
export const catalogCounts: Readonly<Record<CatalogKind, number>> = index.counts;

const schemaNames = catalogSchemas.map(({ schema }) => schema);
const loaded = new Map<CatalogKind, KindCatalog>();

export function isCatalogKind(text: string): text is CatalogKind {
  return (CATALOG_KINDS as readonly string[]).includes(text);
}

/** For code that must not wait once it has begun: load the kind first. */
export async function loadCatalog(kind: CatalogKind): Promise<KindCatalog> {
  const known = loaded.get(kind);
  if (known !== undefined) return known;
  const { types } = (await modules[kind]()).default;
  const catalog = new KindCatalog(kind, types);
  loaded.set(kind, catalog);
  return catalog;
}

export async function findEntry(kind: CatalogKind, type: string): Promise<CatalogEntry | null> {
  return (await loadCatalog(kind)).find(type);
}

export async function listEntries(kind: CatalogKind, platform?: Platform): Promise<readonly CatalogEntry[]> {
  return (await loadCatalog(kind)).list(platform);
}

export class KindCatalog {
  readonly kind: CatalogKind;
  readonly #texts: Readonly<Record<string, string>>;
  readonly #entries = new Map<string, CatalogEntry>();

  constructor(kind: CatalogKind, texts: Readonly<Record<string, string>>) {
    this.kind = kind;
    this.#texts = texts;
  }

  /** In alphabetical order. */
  get types(): readonly string[] {
    return Object.keys(this.#texts);
  }

  find(type: string): CatalogEntry | null {
    const known = this.#entries.get(type);
    if (known !== undefined) return known;
    const text = Object.hasOwn(this.#texts, type) ? this.#texts[type] : undefined;
    if (text === undefined) return null;
    const entry = decodeEntry(this.kind, type, text, schemaNames);
    this.#entries.set(type, entry);
    return entry;
  }

  list(platform?: Platform): readonly CatalogEntry[] {
    return this.types
      .map((type) => this.find(type))
      .filter((entry) => entry !== null)
      .filter((entry) => platform === undefined || entry.platforms[platform] !== undefined);
  }
}
