/**
 * The facts that the catalog is made from, as they lie in a folder: `watchos.json` (a whole release of the schema),
 * `declarations-27seed1.json` (the declarations of a newer one) and `newer.json` (hand-entered corrections). Made
 * from apple/device-management, with keys, types and numbers only.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Rule {
  readonly introduced?: string;
  readonly deprecated?: string;
  readonly removed?: string;
  readonly accessrights?: string;
  readonly supervised?: boolean;
  readonly requiresdep?: boolean;
  readonly userenrollment?: string;
  readonly sharedipad?: string;
  readonly 'allowed-enrollments'?: readonly string[];
  readonly 'allowed-scopes'?: readonly string[];
  readonly 'sharedipad-scopes'?: readonly string[];
  readonly multiple?: boolean;
  readonly allowmanualinstall?: boolean;
  readonly 'always-skippable'?: boolean;
}

export interface Platforms {
  readonly iOS?: Rule;
  readonly watchOS?: Rule;
}

export interface Range {
  readonly min?: number;
  readonly max?: number;
}

export interface Key {
  readonly key: string;
  readonly type: string;
  readonly presence?: string;
  readonly default?: string | number | boolean;
  readonly rangelist?: readonly (string | number)[];
  readonly range?: Range;
  readonly repetition?: Range;
  readonly format?: string;
  readonly subtype?: string;
  readonly combinetype?: string;
  readonly assettypes?: readonly string[];
  readonly 'asset-content-types'?: readonly string[];
  readonly subkeytype?: string;
  readonly subkeys?: readonly Key[] | 'recursive';
  readonly platforms?: Platforms;
}

export interface FactsRecord {
  readonly kind: string;
  readonly type: string;
  readonly file: string;
  readonly platforms: Platforms;
  readonly apply?: string;
  readonly relatedStatus?: readonly string[];
  readonly keys?: readonly Key[];
  readonly responsekeys?: readonly Key[];
  readonly reasons?: readonly { readonly value: string; readonly details?: Record<string, string> }[];
}

/** `change` says how `type`, or each of several types with spaces between them, differs from the releases. */
export interface Correction {
  readonly kind: string;
  readonly type: string;
  readonly change: string;
  readonly platforms?: Platforms;
  readonly apply?: string;
  readonly keys?: readonly Key[];
  readonly basis: string;
}

export interface Schema {
  readonly schema: string;
  readonly repository?: string;
  readonly commit?: string;
}

export interface Facts {
  readonly release: { readonly schema: Schema; readonly records: readonly FactsRecord[] };
  readonly seed: { readonly schema: Schema; readonly records: readonly FactsRecord[] };
  readonly corrections: readonly Correction[];
}

export function readFacts(folder: string): Facts {
  const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const release = read('watchos.json');
  const seed = read('declarations-27seed1.json');
  const { repository, commit, release: tag } = release.meta;
  const version = /iOS-(\d+)-(\d+)/.exec(tag);
  const [, from, seedCommit, seedVersion] = /^(\S+) ([0-9a-f]+) \(([^,]+),/.exec(seed.meta.source) ?? [];
  if (version === null || seedVersion === undefined) throw new Error('the facts do not say their schema');
  return {
    release: {
      schema: { schema: `${version[1]}.${version[2]}`, repository, commit: commit.slice(0, 7) },
      records: release.records,
    },
    seed: {
      schema: { schema: seedVersion, repository: from ?? '', commit: seedCommit ?? '' },
      records: seed.records,
    },
    corrections: read('newer.json').records,
  };
}
