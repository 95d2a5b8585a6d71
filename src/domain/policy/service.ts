/**
 * The policy of one device, put together when it is asked for: from its manifest, from what commands installed, for a
 * watch from its iPhone too, and from what either reported. Rules flow from iPhone to watch and never back (facts 13).
 *
 * Cost: some dozen D1 statements whatever the number of sources and keys (the sources of both devices are read
 * together), and three calls of each device's object.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  EffectivePolicy,
  InForce,
  PolicyReader,
  PolicyRow,
  PolicyWarning,
  ReachedWatch,
} from '../admin/policy-services.ts';
import type { UnknownDevice } from '../admin/services.ts';
import type { DeviceDescription } from '../enrollment/device.ts';
import { type HostEnrollment, type PresumedGone, presumeGone } from '../enrollment/ending.ts';
import type { Udid } from '../ids.ts';
import { mirrored, reachOf, targetOf } from './contributions.ts';
import { type GatherOptions, gather, type Side } from './gather.ts';
import { type Evidence, inForce, passcodeState, UNKNOWN } from './in-force.ts';
import { isSurelyMirrored, type MergedRow, mergeRows, nameOf } from './merge.ts';
import { loadPolicyCatalog, type PolicyCatalog } from './settings.ts';
import { foreignProfiles, phoneWarnings, rowWarnings, watchOnly } from './warnings.ts';

/** A phone reports in full about once a day (facts 4.5): two days without a word are more than a missed report. */
export const PHONE_STALE_MS = 48 * 60 * 60 * 1000;
/** An iPhone pairs with a handful; each has its object asked. */
export const WATCHES_MAX = 16;

export interface EffectivePolicyOptions extends GatherOptions {
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  /** The watches that paired through an iPhone and have not checked out. */
  readonly watchesOf: (phone: Udid) => Promise<readonly Udid[]>;
}

export class EffectivePolicies implements PolicyReader {
  readonly #options: EffectivePolicyOptions;

  constructor(options: EffectivePolicyOptions) {
    this.#options = options;
  }

  async ofDevice(udid: Udid, nowMs: EpochMs): Promise<Outcome<EffectivePolicy, UnknownDevice>> {
    const description = await this.#describe(udid);
    if (description === null) return refuse({ kind: 'unknown-device', udid });
    const catalog = await loadPolicyCatalog();
    const asked = new Map([[udid, description]]);
    const phone = description.platform === 'watchOS' ? (description.phoneUdid as Udid | null) : null;
    const host = phone === null ? null : await this.#describe(phone);
    if (phone !== null && host !== null) asked.set(phone, host);
    const [side, other = null] = await gather(asked, catalog, this.#options);
    if (side === undefined) return refuse({ kind: 'unknown-device', udid });
    return ok(
      description.platform === 'iOS'
        ? await this.#ofPhone(side, catalog)
        : ofWatch(side, other, { catalog, nowMs }),
    );
  }

  async #describe(udid: Udid): Promise<DeviceDescription | null> {
    return (await this.#options.isKnown(udid)) ? this.#options.devices.of(udid).describe() : null;
  }

  async #ofPhone(side: Side, catalog: PolicyCatalog): Promise<EffectivePolicy> {
    const { judged } = side.contributions;
    const rows = mergeRows(judged);
    const gone = goneOf(side, null);
    const watches = (await this.#options.watchesOf(side.udid)).slice(0, WATCHES_MAX);
    const reaches = await Promise.all(watches.map((watch) => this.#reach(watch, rows, catalog)));
    return {
      ...viewOf(side),
      phone: null,
      rows: rows.map((row) => finish(row, gone === null ? inForce(row, judged, side.evidence) : UNKNOWN)),
      reaches: reaches.filter((one) => one !== null),
      warnings: [
        ...goneWarnings(gone),
        ...side.warnings,
        ...foreignProfiles(side.evidence.observed, side.sources),
        ...rowWarnings(rows),
        ...(watches.length > 0 ? phoneWarnings(rows, side.sources) : []),
      ],
    };
  }

  async #reach(
    watch: Udid,
    rows: readonly MergedRow[],
    catalog: PolicyCatalog,
  ): Promise<ReachedWatch | null> {
    const description = await this.#options.devices.of(watch).describe();
    if (description === null) return null;
    const target = targetOf(description);
    const keys = rows.flatMap((row) => {
      const via = row.origin === null ? null : reachOf(row, target, catalog);
      if (via === null) return [];
      const { domain, key, value } = row;
      return [{ domain, key, value, via, certain: via === 'phone' || isSurelyMirrored(row) }];
    });
    return { watch, keys };
  }
}

function ofWatch(
  watch: Side,
  phone: Side | null,
  { catalog, nowMs }: { readonly catalog: PolicyCatalog; readonly nowMs: EpochMs },
): EffectivePolicy {
  // A watch that left has no rules; what its iPhone has reaches it no more.
  const over = watch.description.state === 'checked-out';
  const gone = goneOf(watch, phone);
  const theirs = phone === null || over ? [] : phone.contributions.judged;
  const judged = [...watch.contributions.judged, ...mirrored(theirs, targetOf(watch.description), catalog)];
  const rows = mergeRows(judged);
  const phoneRows = mergeRows(theirs);
  const evidence = changedWith(watch.evidence, phone?.evidence ?? null);
  const inForceOf = (row: MergedRow): InForce => {
    if (gone !== null) return UNKNOWN;
    const onPhone = phoneRows.find((one) => row.origin?.via === 'phone' && nameOf(one) === nameOf(row));
    return onPhone === undefined || phone === null
      ? inForce(row, judged, evidence)
      : inForce(onPhone, theirs, phone.evidence);
  };
  return {
    ...viewOf(watch),
    phone:
      phone === null
        ? null
        : { udid: phone.udid, state: phone.description.state, lastSeenAtMs: phone.description.lastSeenMs },
    rows: rows.map((row) => finish(row, inForceOf(row))),
    reaches: [],
    warnings: [
      ...goneWarnings(gone),
      ...watch.warnings,
      ...foreignProfiles(watch.evidence.observed, [...watch.sources, ...(phone?.sources ?? [])]),
      ...rowWarnings(rows),
      ...(over ? [] : hostWarnings(phone, nowMs)),
      ...(phone === null || over ? [] : phoneWarnings(phoneRows, phone.sources)),
      ...watchOnly(rows, phoneRows),
    ],
  };
}

/** What a watch is to hold changes with its iPhone's manifest too. */
function changedWith(own: Evidence, host: Evidence | null): Evidence {
  const [a, b] = [own.changedAtMs, host?.changedAtMs ?? null];
  return { ...own, changedAtMs: a === null || b === null ? (a ?? b) : a > b ? a : b };
}

/** As the devices' own objects have it: what a device reported before it left proves nothing of what is. */
function goneOf({ udid, description }: Side, phone: Side | null): PresumedGone | null {
  const { state, presumedEnd: presumed, lastSeenMs, startedAtMs } = description;
  if (state === 'checked-out') return null;
  return presumeGone({
    udid,
    presumed,
    lastSeenMs,
    host: phone && { phone: phone.udid, ...hostOf(phone.description, startedAtMs) },
  });
}

/** What became of the iPhone's enrollment through which the watch was paired, by the one that it has now. */
function hostOf(phone: DeviceDescription, pairedAtMs: EpochMs): HostEnrollment {
  const { state, startedAtMs, endedAtMs, presumedEnd: presumed } = phone;
  if (startedAtMs > pairedAtMs) return { ended: 'replaced', endedAtMs: startedAtMs, presumed: null };
  return { ended: state === 'checked-out' ? state : null, endedAtMs, presumed };
}

function goneWarnings(gone: PresumedGone | null): readonly PolicyWarning[] {
  return gone === null ? [] : [{ kind: 'presumed-gone', ...gone }];
}

function hostWarnings(phone: Side | null, nowMs: EpochMs): readonly PolicyWarning[] {
  if (phone === null) return [{ kind: 'phone-unknown' }];
  const { udid, description } = phone;
  if (description.state === 'checked-out') return [{ kind: 'phone-checked-out', phone: udid }];
  const { lastSeenMs: lastSeenAtMs } = description;
  return nowMs - lastSeenAtMs > PHONE_STALE_MS ? [{ kind: 'phone-stale', phone: udid, lastSeenAtMs }] : [];
}

function viewOf({ udid, description, evidence }: Side) {
  const { platform, osVersion, state } = description;
  return { udid, platform, osVersion, state, passcode: passcodeState(evidence) };
}

function finish(merged: MergedRow, inForceNow: InForce): PolicyRow {
  const { weaker: _weaker, zero: _zero, zeroIsNone: _zeroIsNone, ...row } = merged;
  return { ...row, inForce: inForceNow };
}
