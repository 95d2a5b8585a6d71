/**
 * One entry per kind and type: the release, replaced by the newer seed where that has the type, then corrected by
 * hand. What exists on neither platform is left out and named.
 */
import type { Correction, Facts, FactsRecord, Key, Platforms, Rule } from './facts.ts';

export interface Merged {
  kind: string;
  type: string;
  /** Index into the schemas: the release, the seed, by hand. */
  schema: 0 | 1 | 2;
  basis: string;
  amended?: string;
  platforms: Platforms;
  apply?: string | undefined;
  relatedStatus?: readonly string[] | undefined;
  keys: readonly Key[] | null;
  variants: (readonly Key[])[];
  responseKeys?: readonly Key[] | undefined;
  reasons?: FactsRecord['reasons'];
}

export interface Merge {
  readonly entries: readonly Merged[];
  readonly omitted: readonly string[];
}

/** Of `DeviceInformation`, by the change list of 27.0; the corrections say it in prose only. */
const QUERIES_REMOVED = ['OSUpdateSettings', 'SoftwareUpdateDeviceID', 'SoftwareUpdateSettings'];

const idOf = ({ kind, type }: { kind: string; type: string }) => `${kind} ${type}`;
const exists = (rule: Rule | undefined) => rule?.introduced !== undefined && rule.introduced !== 'n/a';
const existsSomewhere = (platforms: Platforms) => exists(platforms.iOS) || exists(platforms.watchOS);

export function mergeFacts(facts: Facts): Merge {
  const omitted: string[] = [];
  const released = gather(facts.release.records, 0, omitted);
  const seeded = gather(facts.seed.records, 1, omitted);
  const entries = new Map([...released, ...seeded]);
  for (const [id, entry] of seeded) {
    // A release lists what comes back in reply; the seed, being of declarations, does not take that away.
    entry.responseKeys ??= released.get(id)?.responseKeys;
  }
  for (const correction of facts.corrections) {
    for (const type of correction.type.split(' ')) correct(entries, { ...correction, type }, omitted);
  }
  addVpnKeys(entries);
  return { entries: [...entries.values()], omitted };
}

function gather(records: readonly FactsRecord[], schema: 0 | 1, omitted: string[]): Map<string, Merged> {
  const entries = new Map<string, Merged>();
  // `type(variant).yaml` describes another form of `type.yaml`.
  for (const record of records.toSorted((a, b) => Number(isVariant(a)) - Number(isVariant(b)))) {
    const known = entries.get(idOf(record));
    if (known !== undefined) known.variants.push(record.keys ?? []);
    else if (existsSomewhere(record.platforms)) entries.set(idOf(record), fromRecord(record, schema));
    else omitted.push(idOf(record));
  }
  return entries;
}

function isVariant({ file }: FactsRecord): boolean {
  return file.includes('(');
}

function fromRecord(record: FactsRecord, schema: 0 | 1): Merged {
  const { kind, type, file, platforms, apply, relatedStatus, keys, responsekeys, reasons } = record;
  return {
    ...{ kind, type, schema, basis: file, platforms, apply, relatedStatus, variants: [] },
    keys: keys ?? [],
    responseKeys: responsekeys,
    reasons,
  };
}

function correct(entries: Map<string, Merged>, correction: Correction, omitted: string[]): void {
  const { change, platforms = {} } = correction;
  const known = entries.get(idOf(correction));
  if (known === undefined) {
    if (change !== 'new' && change !== 'platform') return;
    if (existsSomewhere(platforms)) entries.set(idOf(correction), fromCorrection(correction));
    else omitted.push(idOf(correction));
    return;
  }
  const before = JSON.stringify(known);
  const removedIn = /^removed in (\d+\.\d+)$/.exec(change)?.[1];
  if (removedIn !== undefined) known.platforms = removeFrom(known.platforms, removedIn);
  if (change === 'platform') known.platforms = mergePlatforms(known.platforms, platforms);
  if (change === 'keys' && correction.kind === 'command') removeQueries(known);
  else if (change === 'keys') known.keys = mergeKeys(known.keys ?? [], correction.keys ?? []);
  if (JSON.stringify(known) !== before) known.amended = basisOf(correction);
}

function fromCorrection(correction: Correction): Merged {
  const { kind, type, platforms = {}, apply, keys } = correction;
  const basis = basisOf(correction);
  return { kind, type, schema: 2, basis, platforms, apply, keys: keys ?? null, variants: [] };
}

function basisOf({ basis }: Correction): string {
  return basis.split(/[:;]/)[0]?.trim() ?? basis;
}

function mergeKeys(keys: readonly Key[], changed: readonly Key[]): Key[] {
  const added = changed.filter(
    ({ key, platforms }) =>
      !keys.some((known) => known.key === key) && (platforms === undefined || existsSomewhere(platforms)),
  );
  const merged = keys.map((known) => {
    const change = changed.find(({ key }) => key === known.key);
    if (change === undefined) return known;
    const platforms = mergePlatforms(known.platforms ?? {}, change.platforms ?? {});
    return { ...known, ...change, ...(Object.keys(platforms).length > 0 ? { platforms } : {}) };
  });
  return [...merged, ...added];
}

function mergePlatforms(known: Platforms, changed: Platforms): Platforms {
  const merged: { iOS?: Rule; watchOS?: Rule } = { ...known };
  for (const name of ['iOS', 'watchOS'] as const) {
    if (changed[name] !== undefined) merged[name] = { ...known[name], ...changed[name] };
  }
  return merged;
}

/**
 * Facts 12: beside its own keys a per-app VPN has those of a VPN, which the schema says in prose only. A watch has no
 * other VPN, so of these it has the two that every VPN needs and what the schema lists for watchOS: IKEv2 and around it.
 */
function addVpnKeys(entries: Map<string, Merged>): void {
  const perApp = entries.get('profile com.apple.vpn.managed.applayer');
  const vpn = entries.get('profile com.apple.vpn.managed');
  if (perApp === undefined || vpn === undefined) throw new Error('the facts hold no VPN');
  const onWatch = (key: Key) => key.presence === 'required' || exists(key.platforms?.watchOS);
  const added = (vpn.keys ?? []).map((key) =>
    onWatch(key)
      ? key
      : { ...key, platforms: mergePlatforms(key.platforms ?? {}, { watchOS: { introduced: 'n/a' } }) },
  );
  perApp.keys = [...(perApp.keys ?? []), ...added];
  perApp.amended = vpn.basis;
}

function removeFrom(platforms: Platforms, removed: string): Platforms {
  const { iOS, watchOS } = platforms;
  return {
    ...(iOS === undefined ? {} : { iOS: { ...iOS, removed } }),
    ...(watchOS === undefined ? {} : { watchOS: { ...watchOS, removed } }),
  };
}

function removeQueries(entry: Merged): void {
  const remove = (key: Key): Key => {
    if (QUERIES_REMOVED.includes(key.key)) {
      return { ...key, platforms: mergePlatforms(key.platforms ?? {}, { iOS: { removed: '27.0' } }) };
    }
    return Array.isArray(key.subkeys) ? { ...key, subkeys: key.subkeys.map(remove) } : key;
  };
  entry.keys = (entry.keys ?? []).map(remove);
}
