/**
 * Every type that the facts list for watchOS, and every type for iOS: the least and the most of its content are
 * valid, and each single fault is refused at its place and by its rule. The table is in the test output.
 */
import { describe, expect, it } from 'vitest';
import { listEntries } from '../../../src/protocol/catalog/catalog.ts';
import { CATALOG_KINDS, type CatalogEntry, type CatalogKind } from '../../../src/protocol/catalog/entry.ts';
import { validate } from '../../../src/protocol/catalog/validate.ts';
import { type Fault, faultsOf, memberFaults, nodesOf } from './mutate.ts';
import { full, keysOf, minimal, settingOf } from './synthesize.ts';
import list from './watch-records.json';

const records: Readonly<Record<CatalogKind, { released: string[]; newer: string[] }>> = list.records;

/** What the facts of schema 18.1 hold for watchOS: 96 records. */
const RELEASED: Readonly<Record<CatalogKind, number>> = {
  ...{ activation: 1, configuration: 6, asset: 7, management: 3, credential: 4, status: 25, command: 21 },
  ...{ checkin: 4, profile: 16, error: 2, protocol: 3, base: 2, other: 2 },
};
const CHANGES = [
  'removed',
  'wrong type',
  'out of bounds',
  'not permitted',
  'unknown key',
  'elsewhere',
] as const;

interface Tally {
  valid: number;
  readonly faults: Record<Fault['change'], number>;
}

const DECLARATIONS: readonly CatalogKind[] = ['activation', 'configuration', 'asset', 'management'];
const watchTallies = new Map<CatalogKind, Tally>();

describe('the watchOS records', () => {
  it('are 96 in the facts of the release, and each is in the catalog', async () => {
    let total = 0;
    for (const kind of CATALOG_KINDS) {
      const { released, newer } = records[kind];
      const types = (await listEntries(kind, 'watchOS')).map(({ type }) => type);
      expect([kind, released.length]).toEqual([kind, RELEASED[kind]]);
      expect(types).toEqual([...released, ...newer].sort());
      total += released.length;
    }
    expect(total).toBe(96);
  });

  it('are five more in newer facts', () => {
    expect(CATALOG_KINDS.flatMap((kind) => records[kind].newer)).toEqual([
      'com.apple.configuration.siri.settings',
      'mdm.enrollment-type',
      'mdm.push-magic',
      'mdm.push-token',
      'security.lockdown-mode',
    ]);
  });

  it.each(CATALOG_KINDS)('of kind %s are valid as made, and refused with any one fault', async (kind) => {
    const entries = await listEntries(kind, 'watchOS');
    const tally = await examine(entries, 'watchOS');
    watchTallies.set(kind, tally);
    expect(tally.valid).toBe(entries.length);
  });

  it('are all in the table', ({ task }) => {
    const header = ['kind', 'facts 18.1', 'newer', 'valid', ...CHANGES];
    const rows = CATALOG_KINDS.map((kind) => {
      const { released, newer } = records[kind];
      const { valid, faults } = watchTallies.get(kind) as Tally;
      return [kind, released.length, newer.length, valid, ...CHANGES.map((change) => faults[change])];
    });
    const sums = header.slice(1).map((_, at) => rows.reduce((sum, row) => sum + Number(row[at + 1]), 0));
    task.meta.printed = [
      'Contents of what watchOS takes, whole and with one fault, against the catalog',
      ...table([header, ...rows, ['all', ...sums]]),
    ];
    expect(sums.slice(0, 3)).toEqual([96, 5, 101]);
  });
});

describe('the iOS records', () => {
  it.each(CATALOG_KINDS)('of kind %s are valid as made, and refused with any one fault', async (kind) => {
    const entries = await listEntries(kind, 'iOS');
    expect((await examine(entries, 'iOS')).valid).toBe(entries.length);
  });
});

async function examine(entries: readonly CatalogEntry[], platform: 'iOS' | 'watchOS'): Promise<Tally> {
  const faults = Object.fromEntries(CHANGES.map((change) => [change, 0])) as Tally['faults'];
  let valid = 0;
  for (const entry of entries) {
    for (const fault of await examineOne(entry, platform)) faults[fault.change]++;
    valid++;
  }
  return { valid, faults };
}

async function examineOne(entry: CatalogEntry, platform: 'iOS' | 'watchOS'): Promise<Fault[]> {
  const { kind, type } = entry;
  const setting = settingOf(entry, platform);
  const keys = await keysOf(entry);
  const least = minimal(keys, setting);
  const most = full(keys, setting);
  for (const content of [least, most]) {
    expect(await problems(entry, content, setting.target)).toEqual([]);
  }
  const root = DECLARATIONS.includes(kind) ? 'Payload' : '';
  const faults = nodesOf(keys, most, root).flatMap((node) => faultsOf(node, most, setting));
  faults.push(...memberFaults(keys, { path: root, steps: [] }, most, setting));
  for (const fault of faults) {
    const found = await problems(entry, fault.content, setting.target);
    const expected = expect.objectContaining({ path: fault.path, rule: fault.rule });
    expect(found, `${kind} ${type} ${fault.change} ${fault.path}`).toEqual([expected]);
    if (fault.change !== 'unknown key') continue;
    const allowed = await validate(kind, type, fault.content, setting.target, { allowUnknown: true });
    expect(allowed.ok).toBe(true);
  }
  return faults;
}

async function problems({ kind, type }: CatalogEntry, ...rest: [Parameters<typeof validate>[2], object]) {
  const [content, target] = rest;
  const outcome = await validate(kind, type, content, target as Parameters<typeof validate>[3]);
  return outcome.ok ? [] : outcome.refusal.problems;
}

function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => String(row[at]).length)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => String(cell).padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}`);
}
