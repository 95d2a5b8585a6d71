/**
 * The policy of one device, put together when it is asked for: from its manifest, from what commands installed, for a
 * watch from its iPhone too, and from what either reported. Rules flow from iPhone to watch and never back (facts 13).
 *
 * Cost: some dozen D1 statements whatever the number of sources and keys (the sources of both devices are read together),
 * and two calls of each device's object.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  EffectivePolicy,
  PolicyReader,
  PolicyRow,
  PolicyWarning,
  ReachedWatch,
} from '../admin/policy-services.ts';
import type { UnknownDevice } from '../admin/services.ts';
import type { AssignmentSource, LibraryStore } from '../declaration/library-ports.ts';
import type { ManifestCompiler } from '../declaration/manifest-compiler.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import { type Contributions, contributionsOf, mirrored, reachOf, targetOf } from './contributions.ts';
import { type Evidence, inForce, passcodeState } from './in-force.ts';
import { isSurelyMirrored, type MergedRow, mergeRows, nameOf } from './merge.ts';
import { openDeclared, type ProfileOpenerOptions } from './opening.ts';
import { type InstalledProfiles, NOTHING_OBSERVED, type PolicyObservations } from './ports.ts';
import { loadPolicyCatalog, type PolicyCatalog } from './settings.ts';
import { heldOf, isPolicyType, type PolicySource, sourcesOf } from './sources.ts';
import { phoneWarnings, rowWarnings, sourceWarnings, watchOnly, withheldWarnings } from './warnings.ts';

/** A phone reports in full about once a day (facts 4.5): two days without a word are more than a missed report. */
export const PHONE_STALE_MS = 48 * 60 * 60 * 1000;
/** An iPhone pairs with a handful; each has its object asked. */
export const WATCHES_MAX = 16;

export interface EffectivePolicyOptions {
  readonly devices: Devices;
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  /** The watches that paired through an iPhone and have not checked out. */
  readonly watchesOf: (phone: Udid) => Promise<readonly Udid[]>;
  readonly assignments: AssignmentSource;
  readonly manifests: Pick<ManifestCompiler, 'compileAssigned'>;
  readonly library: Pick<LibraryStore, 'payloads'>;
  readonly profiles: ProfileOpenerOptions;
  readonly installed: InstalledProfiles;
  readonly observations: PolicyObservations;
}

/** One device with everything that its own rows come from. */
interface Side {
  readonly udid: Udid;
  readonly description: DeviceDescription;
  readonly sources: readonly PolicySource[];
  readonly contributions: Contributions;
  readonly evidence: Evidence;
  readonly warnings: readonly PolicyWarning[];
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
    if (description.platform === 'iOS') {
      const [side] = await this.#sides([[udid, description]], catalog);
      return ok(await this.#ofPhone(side as Side, catalog));
    }
    const phoneUdid = description.phoneUdid as Udid | null;
    const host = phoneUdid === null ? null : await this.#describe(phoneUdid);
    const asked: [Udid, DeviceDescription][] = [[udid, description]];
    if (phoneUdid !== null && host !== null) asked.push([phoneUdid, host]);
    const [watch, phone = null] = await this.#sides(asked, catalog);
    return ok(this.#ofWatch(watch as Side, phone, { catalog, nowMs }));
  }

  async #describe(udid: Udid): Promise<DeviceDescription | null> {
    return (await this.#options.isKnown(udid)) ? this.#options.devices.of(udid).describe() : null;
  }

  /** What is read for one device is read for all of them at once. */
  async #sides(
    asked: readonly (readonly [Udid, DeviceDescription])[],
    catalog: PolicyCatalog,
  ): Promise<readonly Side[]> {
    const { assignments, manifests, library, profiles, installed, observations, devices } = this.#options;
    const udids = asked.map(([udid]) => udid);
    const [assigned, observed] = await Promise.all([
      assignments.assigned(udids),
      observations.observed(udids),
    ]);
    const compiled = await Promise.all(
      asked.map(async ([udid, description]) => {
        const own = assigned.get(udid);
        return own === undefined ? [] : manifests.compileAssigned(udid, own, description);
      }),
    );
    const shared = compiled.flatMap((list) =>
      heldOf(list).filter(
        (one) => one.payload === null && (one.kind === 'activation' || isPolicyType(one.type)),
      ),
    );
    const payloads = await library.payloads([...new Set(shared.map((one) => one.identifier))]);
    const declared = await openDeclared(
      compiled.map((list) => ({ compiled: list, payloads })),
      profiles,
    );
    return Promise.all(
      asked.map(async ([udid, description], index) => {
        const [own, items] = await Promise.all([installed.installedOn(udid), devices.of(udid).statusItems()]);
        const list = compiled[index] ?? [];
        const sources = sourcesOf({ udid, description, compiled: list, payloads, declared, installed: own });
        const contributions = contributionsOf(sources, targetOf(description), catalog);
        const evidence = {
          items: new Map((items ?? []).map((item) => [item.name, item])),
          observed: observed.get(udid) ?? NOTHING_OBSERVED,
          changedAtMs: description.manifestChangedAtMs,
        };
        const warnings = [
          ...(description.state === 'checked-out'
            ? [{ kind: 'device-checked-out' } as const]
            : withheldWarnings(list)),
          ...sourceWarnings(sources, contributions),
        ];
        return { udid, description, sources, contributions, evidence, warnings };
      }),
    );
  }

  async #ofPhone(side: Side, catalog: PolicyCatalog): Promise<EffectivePolicy> {
    const { judged } = side.contributions;
    const rows = mergeRows(judged);
    const watches = (await this.#options.watchesOf(side.udid)).slice(0, WATCHES_MAX);
    const reaches = await Promise.all(watches.map((watch) => this.#reach(watch, rows, catalog)));
    return {
      ...viewOf(side),
      phone: null,
      rows: rows.map((row) => finish(row, inForce(row, judged, side.evidence))),
      reaches: reaches.filter((one) => one !== null),
      warnings: [
        ...side.warnings,
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

  #ofWatch(
    watch: Side,
    phone: Side | null,
    { catalog, nowMs }: { readonly catalog: PolicyCatalog; readonly nowMs: EpochMs },
  ): EffectivePolicy {
    const own = watch.contributions.judged;
    // A watch that left has no rules; what its iPhone has reaches it no more.
    const over = watch.description.state === 'checked-out';
    const theirs = phone === null || over ? [] : phone.contributions.judged;
    const judged = [...own, ...mirrored(theirs, targetOf(watch.description), catalog)];
    const rows = mergeRows(judged);
    const phoneRows = mergeRows(theirs);
    return {
      ...viewOf(watch),
      phone:
        phone === null
          ? null
          : { udid: phone.udid, state: phone.description.state, lastSeenAtMs: phone.description.lastSeenMs },
      rows: rows.map((row) => {
        const onPhone =
          row.origin?.via === 'phone' ? phoneRows.find((one) => nameOf(one) === nameOf(row)) : undefined;
        return onPhone !== undefined && phone !== null
          ? finish(row, inForce(onPhone, theirs, phone.evidence))
          : finish(row, inForce(row, judged, watch.evidence));
      }),
      reaches: [],
      warnings: [
        ...watch.warnings,
        ...rowWarnings(rows),
        ...(over ? [] : hostWarnings(phone, nowMs)),
        ...(phone === null ? [] : phoneWarnings(phoneRows, phone.sources)),
        ...watchOnly(rows, phoneRows),
      ],
    };
  }
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

/** Null of what was asked of the row alone. */
function finish({ weaker: _weaker, zero: _zero, ...row }: MergedRow, own: PolicyRow['inForce']): PolicyRow {
  return { ...row, inForce: own };
}
