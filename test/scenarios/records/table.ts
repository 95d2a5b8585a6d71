/**
 * What was done with each record of the catalog, and what held. A record is round-tripped when every step of its kind
 * was done; where one cannot be, the row says why. A step is noted only after it held.
 */

import { CATALOG_KINDS, type CatalogKind } from '../../../src/protocol/catalog/entry.ts';
import released from '../../protocol/catalog/watch-records.json';

/** In the order of a record's way: checked, sent, acted on, read back. */
export const STEPS: Readonly<Record<CatalogKind, readonly string[]>> = {
  activation: ['stored', 'refused', 'delivered', 'active', 'shown'],
  configuration: ['stored', 'refused', 'delivered', 'active', 'shown'],
  asset: ['stored', 'refused', 'delivered', 'active', 'shown'],
  management: ['stored', 'refused', 'delivered', 'shown'],
  credential: ['checked', 'refused', 'delivered', 'active'],
  status: ['subscribed', 'reported', 'shown', 'refused'],
  command: ['checked', 'refused', 'queued', 'delivered', 'answered', 'shown'],
  checkin: ['sent', 'checked', 'refused', 'effective'],
  profile: ['checked', 'refused', 'delivered', 'installed'],
  error: ['checked', 'refused', 'sent'],
  protocol: ['sent', 'checked', 'refused'],
  base: ['sent', 'checked', 'refused'],
  other: ['sent', 'checked', 'refused'],
};

export class RecordTable {
  readonly #rows = new Map<string, Set<string>>();
  readonly #reasons = new Map<string, string>();

  note(kind: CatalogKind, type: string, ...steps: readonly string[]): void {
    for (const step of steps) {
      if (!STEPS[kind].includes(step)) throw new Error(`${step} is no step of ${kind}`);
      this.#of(kind, type).add(step);
    }
  }

  /** Why the steps that are missing are not to be had. */
  excuse(kind: CatalogKind, type: string, reason: string): void {
    this.#of(kind, type);
    this.#reasons.set(`${kind} ${type}`, reason);
  }

  has(kind: CatalogKind, type: string): boolean {
    return this.#rows.has(`${kind} ${type}`);
  }

  missing(kind: CatalogKind, type: string): readonly string[] {
    return STEPS[kind].filter((step) => !this.#rows.get(`${kind} ${type}`)?.has(step));
  }

  /** Missing steps without a reason, and reasons that nothing needs. */
  faults(kind: CatalogKind, type: string): readonly string[] {
    const missing = this.missing(kind, type);
    const reason = this.#reasons.get(`${kind} ${type}`);
    if (missing.length > 0 && reason === undefined) return missing.map((step) => `not ${step}`);
    return missing.length === 0 && reason !== undefined ? [`round-tripped, and excused: ${reason}`] : [];
  }

  /** A line a kind, and one for each record that is not wholly round-tripped. */
  lines(records: ReadonlyMap<CatalogKind, readonly string[]>): string[] {
    const all = [...records.values()].flat().length;
    const lines = CATALOG_KINDS.flatMap((kind) => {
      const types = records.get(kind) ?? [];
      const short = types.filter((type) => this.missing(kind, type).length > 0);
      const count = `${types.length - short.length} of ${types.length}`.padEnd(9);
      return [
        `  ${kind.padEnd(14)}${count}${STEPS[kind].join(', ')}`,
        ...short.map((type) => `    ${type}: ${this.#shortfall(kind, type)}`),
      ];
    });
    const kinds = Object.values(released.records);
    const known = kinds.flatMap((kind) => kind.released).length;
    const which = `${all} records, ${known} of schema 18.1 and ${all - known} newer`;
    return [`What watchOS takes, round-tripped with a simulated watch: ${which}`, ...lines];
  }

  #shortfall(kind: CatalogKind, type: string): string {
    const reason = this.#reasons.get(`${kind} ${type}`) ?? 'without a reason';
    return `not ${this.missing(kind, type).join(', not ')}: ${reason}`;
  }

  #of(kind: CatalogKind, type: string): Set<string> {
    const key = `${kind} ${type}`;
    const row = this.#rows.get(key) ?? new Set();
    this.#rows.set(key, row);
    return row;
  }
}
