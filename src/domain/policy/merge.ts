/**
 * Contributions become rows. On one device declarations of a type are merged as Apple's schema combines them, and that
 * with everything else to the strictest; over two devices again to the strictest. Pure: the order of sources changes
 * nothing, and unless the schema itself combines to less no contributor is stricter than its row.
 */
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import type {
  NotCounting,
  PolicyContribution,
  PolicyOrigin,
  PolicyRow,
  PolicyRule,
} from '../admin/policy-services.ts';
import type { Udid } from '../ids.ts';
import { SURELY_MIRRORED } from './keys.ts';
import type { Setting } from './settings.ts';
import { combine, fits, isAsStrict, strictest } from './strictness.ts';

/** A setting and who says so. */
export interface Contribution {
  readonly setting: Setting;
  readonly origin: PolicyOrigin;
  readonly because: NotCounting | null;
}

export type MergedRow = Omit<PolicyRow, 'inForce'> & {
  readonly weaker: boolean;
  readonly zero: boolean;
  readonly zeroIsNone: boolean;
};

/** By domain and key. */
export function mergeRows(contributions: readonly Contribution[]): readonly MergedRow[] {
  const groups = new Map<string, Contribution[]>();
  for (const one of contributions) {
    const name = nameOf(one.setting.row);
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups.keys()].sort().map((name) => mergeRow(groups.get(name) ?? []));
}

export function nameOf({ domain, key }: { readonly domain: string; readonly key: string }): string {
  return `${domain}/${key}`;
}

/** Of one row, at least one. */
function mergeRow(unsorted: readonly Contribution[]): MergedRow {
  const contributions = [...unsorted].sort(byOrigin);
  const { row } = (contributions[0] as Contribution).setting;
  const counting = contributions.filter((one) => one.because === null);
  const all = valueOver(counting);
  const direct = valueOver(counting.filter((one) => one.origin.via === 'direct'));
  const decided = all !== undefined;
  const value = all ?? null;
  const contributors = contributions.map((one) => view(one, decided ? value : undefined));
  const winners = contributors.filter((one) => one.wins);
  const zero =
    row.zeroIsNone && counting.length > 1 && counting.some((one) => one.setting.value === 0) && value !== 0;
  const sure = valueOver(counting.filter((one) => one.origin.via !== 'mirror' || isSurelyMirrored(row)));
  return {
    domain: row.domain,
    key: row.key,
    value,
    decided,
    // What may be mirrored changes nothing of it.
    certain: decided && !zero && sure !== undefined && equal(value, sure),
    own: direct ?? null,
    rule: ruleOf(contributions),
    source: row.source,
    origin: winners[0]?.origin ?? null,
    contributors,
    weaker: decided && isWeaker(row, counting, value),
    zero,
    zeroIsNone: row.zeroIsNone,
  };
}

export function isSurelyMirrored({
  domain,
  key,
}: {
  readonly domain: string;
  readonly key: string;
}): boolean {
  return domain === 'passcode' || SURELY_MIRRORED.has(key);
}

/** Null when nothing counts, undefined when it cannot be decided. */
function valueOver(counting: readonly Contribution[]): JsonValue | undefined {
  const devices = new Map<Udid, Contribution[]>();
  for (const one of counting)
    devices.set(one.origin.device, [...(devices.get(one.origin.device) ?? []), one]);
  return settle(counting, [...devices.values()].map(valueOn));
}

/** On one device: each type of combined declarations comes to one value first. */
function valueOn(counting: readonly Contribution[]): JsonValue | undefined {
  const combined = new Map<string, Contribution[]>();
  const others: JsonValue[] = [];
  for (const one of counting) {
    const { setting } = one;
    if (setting.combination !== null)
      combined.set(setting.type, [...(combined.get(setting.type) ?? []), one]);
    else others.push(setting.value);
  }
  return settle(counting, [...[...combined.values()].map(combinedValue), ...others]);
}

function combinedValue(declared: readonly Contribution[]): JsonValue | undefined {
  const { row, combination } = (declared[0] as Contribution).setting;
  const { by, choices } = combination ?? { by: undefined, choices: [] };
  const values = declared.map(({ setting }) => setting.value);
  return combine(values, { by, choices, zeroIsNone: row.zeroIsNone });
}

function settle(
  counting: readonly Contribution[],
  values: readonly (JsonValue | undefined)[],
): JsonValue | undefined {
  const [first] = values;
  if (first === undefined && values.length === 0) return null;
  const there = values.filter((value) => value !== undefined);
  if (there.length < values.length) return undefined;
  const { prefers, zeroIsNone } = (counting[0] as Contribution).setting.row;
  if (prefers !== null) return strictest(prefers, there, zeroIsNone);
  return there.every((value) => equal(value, first ?? null)) ? first : undefined;
}

function ruleOf(contributions: readonly Contribution[]): PolicyRule {
  const { row, combination } = (contributions[0] as Contribution).setting;
  if (row.prefers !== null) return { kind: 'most-restrictive', prefers: row.prefers };
  return combination?.by === undefined ? { kind: 'unknown' } : { kind: 'combine', by: combination.by };
}

function isWeaker(row: Setting['row'], counting: readonly Contribution[], value: JsonValue): boolean {
  const { prefers, zeroIsNone } = row;
  if (prefers === null) return false;
  return counting.some((one) => !isAsStrict(prefers, value, one.setting.value, zeroIsNone));
}

/** Of lists merged everyone wins who adds to the outcome. */
function view({ setting, origin, because }: Contribution, value: JsonValue | undefined): PolicyContribution {
  const { type, key, said, implied } = setting;
  const { prefers } = setting.row;
  const wins =
    because === null &&
    value !== undefined &&
    (prefers === 'union' || prefers === 'intersection' || setting.known?.type === 'array'
      ? true
      : equal(setting.value, value));
  return { origin, type, key, said, value: setting.value, implied, because, wins };
}

/** A value that the row's direction, or the catalog's type, cannot have. */
export function isMalformed({ row, value, known }: Setting): boolean {
  if (row.prefers !== null) return !fits(row.prefers, value);
  switch (known?.type) {
    case 'boolean':
      return typeof value !== 'boolean';
    case 'integer':
    case 'real':
      return typeof value !== 'number';
    case 'string':
      return typeof value !== 'string';
    case 'array':
      return !Array.isArray(value);
    default:
      return false;
  }
}

function equal(a: JsonValue, b: JsonValue): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

const VIAS = { direct: 0, phone: 1, mirror: 2 } as const;

/** What the device itself was given comes first, and among equals the written before the implied. */
function byOrigin(a: Contribution, b: Contribution): number {
  return VIAS[a.origin.via] - VIAS[b.origin.via] || compare(textOf(a), textOf(b));
}

function textOf({ origin, setting, because }: Contribution): string {
  const { kind, identifier, payloadIdentifier, device } = origin;
  const own = [setting.type, setting.key, setting.implied, setting.value, because];
  return canonicalJson([device, kind, identifier, payloadIdentifier, ...own]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
