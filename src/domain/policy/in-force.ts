/**
 * Whether a row is really in force, by what the device reported. In this order: a passcode that the device says is
 * missing or does not comply; a value that Restrictions lists; a winner that the device reports as applied. Nothing is
 * concluded from silence, but a profile that a later ProfileList lacks is gone; an older Restrictions result does not
 * refute what changed since. ProfileList names profiles and not their versions, so it bears out what was confirmed before
 * it and nothing else; of two profiles with one PayloadIdentifier nobody knows which the device has. A compliant
 * passcode proves no rule: it may comply with none.
 */
import type { EpochMs } from '../../std/time.ts';
import type { InForce, Observation } from '../admin/policy-services.ts';
import type { StatusItem } from '../declaration/status-merge.ts';
import type { Judged } from './contributions.ts';
import { type MergedRow, nameOf } from './merge.ts';
import type { ObservedPolicy } from './ports.ts';
import { fits, isAsStrict } from './strictness.ts';

export interface Evidence {
  readonly items: ReadonlyMap<string, StatusItem>;
  readonly observed: ObservedPolicy;
  /** When what the device is to hold last changed. */
  readonly changedAtMs: EpochMs | null;
}

export interface PasscodeState {
  readonly present: Observation;
  readonly compliant: Observation;
}

export const UNKNOWN: InForce = { value: null, by: null, asOfMs: null };

/** The newer word of the status report and of SecurityInfo. */
export function passcodeState({ items, observed }: Evidence): PasscodeState {
  const { security } = observed;
  const asked = (key: string): Observation | null => {
    const value = security?.info[key];
    return security !== null && typeof value === 'boolean'
      ? { value, by: 'SecurityInfo', asOfMs: security.asOfMs }
      : null;
  };
  return {
    present: newer(reported(items, 'passcode.is-present'), asked('PasscodePresent')),
    compliant: newer(
      reported(items, 'passcode.is-compliant'),
      asked('PasscodeCompliantWithProfiles') ?? asked('PasscodeCompliant'),
    ),
  };
}

function reported(items: Evidence['items'], name: string): Observation | null {
  const item = items.get(name);
  const value: unknown = JSON.parse(item?.value ?? 'null');
  return typeof value === 'boolean' ? { value, by: name, asOfMs: item?.atMs ?? null } : null;
}

function newer(a: Observation | null, b: Observation | null): Observation {
  if (a === null || b === null) return a ?? b ?? UNKNOWN;
  return (b.asOfMs ?? 0) > (a.asOfMs ?? 0) ? b : a;
}

/** `judged` are the contributions to this row and to others. */
export function inForce(row: MergedRow, judged: readonly Judged[], evidence: Evidence): InForce {
  if (row.origin === null) return UNKNOWN;
  const own = judged.filter((one) => nameOf(one.setting.row) === nameOf(row));
  return (
    refutedByPasscode(row, evidence) ??
    byRestrictions(row, own, evidence) ??
    byWinner(row, own, judged, evidence)
  );
}

function refutedByPasscode(row: MergedRow, evidence: Evidence): InForce | null {
  if (row.domain !== 'passcode') return null;
  const { present, compliant } = passcodeState(evidence);
  if (row.key === 'forcePIN') return row.value === true && present.value === false ? present : null;
  return compliant.value === false ? compliant : null;
}

function byRestrictions(row: MergedRow, judged: readonly Judged[], evidence: Evidence): InForce | null {
  const { restrictions } = evidence.observed;
  const seen = restrictions?.values.get(row.key);
  if (restrictions === null || seen === undefined || row.rule.kind !== 'most-restrictive') return null;
  if (row.domain !== 'passcode' && row.domain !== 'restrictions') return null;
  if (!fits(row.rule.prefers, seen)) return null;
  const { asOfMs } = restrictions;
  const zeroIsNone = judged[0]?.setting.row.zeroIsNone ?? false;
  if (isAsStrict(row.rule.prefers, seen, row.value, zeroIsNone))
    return { value: true, by: 'Restrictions', asOfMs };
  const changes = [evidence.changedAtMs, ...judged.map((one) => confirmedAtMs(one, evidence))];
  const isOlder = changes.some((atMs) => atMs !== null && asOfMs < atMs);
  return isOlder ? null : { value: false, by: 'Restrictions', asOfMs };
}

/** That the iPhone applied what it mirrors does not show that the watch did. */
function byWinner(
  row: MergedRow,
  judged: readonly Judged[],
  all: readonly Judged[],
  evidence: Evidence,
): InForce {
  const proofs = judged.flatMap((one): readonly InForce[] => {
    const wins = row.contributors.some((own) => own.wins && isSame(own, one));
    return wins && one.origin.via === 'direct' && !hasRival(one, all) ? [proofOf(one, evidence)] : [];
  });
  return proofs.find(({ value }) => value) ?? proofs.find(({ value }) => value === false) ?? UNKNOWN;
}

function proofOf(one: Judged, evidence: Evidence): InForce {
  const { confirmed } = one.source;
  if (confirmed === null) return UNKNOWN;
  const { profiles } = evidence.observed;
  const { payloadIdentifier } = one.origin;
  const asOfMs = confirmedAtMs(one, evidence);
  if (profiles !== null && payloadIdentifier !== null && profiles.asOfMs > (asOfMs ?? 0)) {
    const listed = profiles.payloadIdentifiers.has(payloadIdentifier);
    if (listed || confirmed.by === 'InstallProfile')
      return { value: listed, by: 'ProfileList', asOfMs: profiles.asOfMs };
  }
  return { value: true, by: confirmed.by, asOfMs };
}

/** When the device showed that it has applied the source; of what it reports itself, the status item's own time. */
function confirmedAtMs({ source, origin }: Judged, { items }: Evidence): EpochMs | null {
  const { confirmed } = source;
  if (confirmed === null || origin.via !== 'direct') return confirmed?.asOfMs ?? null;
  return confirmed.asOfMs ?? items.get(confirmed.by)?.atMs ?? null;
}

/** Another source that gives the device a profile of the same name, which takes the place of this one or loses it. */
function hasRival({ origin }: Judged, all: readonly Judged[]): boolean {
  const { payloadIdentifier, device, identifier, kind } = origin;
  if (payloadIdentifier === null) return false;
  return all.some(
    ({ origin: other, source }) =>
      other.payloadIdentifier === payloadIdentifier &&
      other.device === device &&
      source.because === null &&
      (other.identifier !== identifier || other.kind !== kind),
  );
}

function isSame(own: MergedRow['contributors'][number], one: Judged): boolean {
  const { origin, setting } = one;
  return (
    own.origin.identifier === origin.identifier &&
    own.origin.kind === origin.kind &&
    own.origin.device === origin.device &&
    own.type === setting.type &&
    own.key === setting.key &&
    own.value === setting.value
  );
}
