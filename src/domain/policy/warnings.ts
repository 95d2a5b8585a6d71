/**
 * What an administrator should know beside the rows: where a rule does not go, what it causes on the other device, and
 * what of the sources does not do what its author may think.
 */
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { PolicyOrigin, PolicyWarning } from '../admin/policy-services.ts';
import type { CompiledDeclaration } from '../declaration/compile.ts';
import type { Contributions, Judged } from './contributions.ts';
import { ALWAYS_ON_VPN, MANAGED_VPN, PASSWORD_POLICY, SIRI_RESTRICTIONS, SIRI_SETTINGS } from './keys.ts';
import { type MergedRow, nameOf } from './merge.ts';
import type { ObservedPolicy } from './ports.ts';
import { isPolicyType, type PolicySource } from './sources.ts';
import { isAsStrict } from './strictness.ts';

/** Of one device's own sources. */
export function sourceWarnings(
  sources: readonly PolicySource[],
  { judged, cut }: Contributions,
): readonly PolicyWarning[] {
  const unread = sources.flatMap(({ origin, unread: reason }): PolicyWarning[] =>
    reason === null ? [] : [{ kind: 'source-unread', origin, reason }],
  );
  const limited = cut.map((origin): PolicyWarning => ({ kind: 'source-unread', origin, reason: 'limit' }));
  return [...unread, ...limited, ...keyWarnings(judged), ...samePayloads(judged), ...sameProfiles(sources)];
}

function keyWarnings(judged: readonly Judged[]): readonly PolicyWarning[] {
  const written = judged.filter((one) => !one.setting.implied);
  const groups = new Map<string, { warning: PolicyWarning & { keys: readonly string[] }; keys: string[] }>();
  const add = (warning: PolicyWarning & { keys: readonly string[] }, key: string) => {
    const text = canonicalJson(JSON.parse(JSON.stringify(warning)));
    const group = groups.get(text) ?? { warning, keys: [] };
    if (!group.keys.includes(key)) group.keys.push(key);
    groups.set(text, group);
  };
  for (const { setting, origin, unsupported, deprecatedSince } of written) {
    const name = nameOf(setting.row);
    if (setting.known === null) add({ kind: 'unknown-key', origin, keys: [] }, name);
    if (unsupported !== null) {
      const { rule, expected } = unsupported;
      add({ kind: 'unsupported-key', origin, rule, expected, keys: [] }, name);
    }
    if (deprecatedSince !== null) {
      const replacement = replacementOf(setting.row.key);
      add({ kind: 'deprecated-key', origin, since: deprecatedSince, replacement, keys: [] }, name);
    }
  }
  return [...groups.values()].map(({ warning, keys }) => ({ ...warning, keys }));
}

function replacementOf(key: string): string | null {
  return [...SIRI_RESTRICTIONS.values()].includes(key) ? SIRI_SETTINGS : null;
}

/** Passcode payloads of several profiles that say different things: which of them a device follows is its own matter. */
function samePayloads(judged: readonly Judged[]): readonly PolicyWarning[] {
  const policies = judged.filter((one) => one.setting.type === PASSWORD_POLICY && one.because === null);
  const keys = [...new Set(policies.map((one) => one.setting.key))].filter(
    (key) =>
      new Set(
        policies.filter((one) => one.setting.key === key).map((one) => canonicalJson(one.setting.value)),
      ).size > 1,
  );
  if (keys.length === 0) return [];
  const origins = unique(policies.filter((one) => keys.includes(one.setting.key)).map((one) => one.origin));
  return [
    { kind: 'conflict', type: PASSWORD_POLICY, origins, keys: keys.map((key) => `passcode/${key}`).sort() },
  ];
}

function sameProfiles(sources: readonly PolicySource[]): readonly PolicyWarning[] {
  const byName = new Map<string, PolicyOrigin[]>();
  for (const { origin, because } of sources) {
    if (origin.payloadIdentifier === null || because !== null) continue;
    byName.set(origin.payloadIdentifier, [...(byName.get(origin.payloadIdentifier) ?? []), origin]);
  }
  return [...byName]
    .filter(([, origins]) => origins.length > 1)
    .map(([payloadIdentifier, origins]) => ({ kind: 'same-profile', payloadIdentifier, origins }));
}

function unique(origins: readonly PolicyOrigin[]): readonly PolicyOrigin[] {
  return [...new Map(origins.map((one) => [canonicalJson({ ...one }), one])).values()];
}

/** Rules that the manifest does not hold: someone may believe they are there. */
export function withheldWarnings(compiled: readonly CompiledDeclaration[]): readonly PolicyWarning[] {
  return compiled.flatMap(({ identifier, type, withheld }): PolicyWarning[] =>
    withheld === null || !isPolicyType(type)
      ? []
      : [{ kind: 'withheld', identifier, rule: withheld.rule, expected: withheld.expected }],
  );
}

/** Profiles with rules that the device lists and that come from none of these sources, its own or its iPhone's. */
export function foreignProfiles(
  { profiles }: ObservedPolicy,
  sources: readonly PolicySource[],
): readonly PolicyWarning[] {
  const known = new Set(sources.map(({ origin }) => origin.payloadIdentifier));
  const payloadIdentifiers = (profiles?.withRules ?? []).filter((identifier) => !known.has(identifier));
  return payloadIdentifiers.length === 0 ? [] : [{ kind: 'foreign-profiles', payloadIdentifiers }];
}

export function rowWarnings(rows: readonly MergedRow[]): readonly PolicyWarning[] {
  const named = (which: (row: MergedRow) => boolean) => rows.filter(which).map(nameOf);
  const weaker = named((row) => row.weaker && !row.zero);
  const zero = named((row) => row.zero);
  return [
    ...(weaker.length > 0 ? [{ kind: 'weaker-by-combine', keys: weaker } as const] : []),
    ...(zero.length > 0 ? [{ kind: 'zero-undocumented', keys: zero } as const] : []),
  ];
}

/** What an iPhone's rules do to its watches (facts 13), of rules that count. */
export function phoneWarnings(
  rows: readonly MergedRow[],
  sources: readonly PolicySource[],
): readonly PolicyWarning[] {
  const warnings: PolicyWarning[] = [];
  const passcode = rows.filter((row) => row.domain === 'passcode' && row.origin !== null).map(nameOf);
  if (passcode.length > 0) warnings.push({ kind: 'passcode-forced-by-phone', keys: passcode });
  const is = (key: string, value: boolean) => rows.some((row) => row.key === key && row.value === value);
  if (is('requireAlphanumeric', true)) warnings.push({ kind: 'alphanumeric-on-phone' });
  if (is('allowPairedWatch', false)) warnings.push({ kind: 'paired-watch-forbidden' });
  for (const source of sources)
    if (source.because === null && isAlwaysOn(source))
      warnings.push({ kind: 'always-on-vpn', origin: source.origin });
  return warnings;
}

function isAlwaysOn({ payloads }: PolicySource): boolean {
  return payloads.some(
    ({ type, values }) =>
      type === ALWAYS_ON_VPN || (type === MANAGED_VPN && values['VPNType'] === 'AlwaysOn'),
  );
}

/** Rules of a watch that its iPhone does not have as strictly: they stay on the watch. */
export function watchOnly(
  watch: readonly MergedRow[],
  phone: readonly MergedRow[],
): readonly PolicyWarning[] {
  const there = new Map(phone.map((row) => [nameOf(row), row]));
  const keys = watch.filter((row) => row.own !== null && !covers(there.get(nameOf(row)), row)).map(nameOf);
  return keys.length > 0 ? [{ kind: 'watch-only', keys }] : [];
}

function covers(phone: MergedRow | undefined, { own, rule, zeroIsNone }: MergedRow): boolean {
  if (phone === undefined || phone.value === null) return false;
  if (rule.kind !== 'most-restrictive') return canonicalJson(phone.value) === canonicalJson(own);
  return isAsStrict(rule.prefers, phone.value, own, zeroIsNone);
}
