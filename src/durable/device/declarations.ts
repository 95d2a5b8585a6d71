/**
 * The device's side of its declarations, as its object plays it: what it is to hold, what it fetched, what it reports
 * of that and of itself. Synchronous, inside the object's transaction; `domain/declaration` has the rules.
 */
import type { DeclarationKind, ManifestEntry } from '../../domain/declaration/manifest.ts';
import { withReportedFacts } from '../../domain/declaration/status.ts';
import type { StatusMergeRefusal } from '../../domain/declaration/status-merge.ts';
import type { DeclarationReport, HeldManifest } from '../../domain/enrollment/device.ts';
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import type { Enrollment } from '../../domain/enrollment/state.ts';
import type { Udid } from '../../domain/ids.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import { type EpochMs, MINUTE_MS } from '../../std/time.ts';
import type { DeclareCommand } from './declare-command.ts';
import type { ManifestStore } from './manifest-store.ts';
import type { Revisions } from './revisions.ts';
import type { StatusStore } from './status-store.ts';
import type { DeviceStore } from './store.ts';

/** A device fetches within seconds of its answer; one that has not by then may have given up on a failure of ours. */
const FETCH_PATIENCE_MS = 10 * MINUTE_MS;

export interface DeclarationRooms {
  readonly store: DeviceStore;
  readonly manifest: ManifestStore;
  readonly status: StatusStore;
  readonly declare: DeclareCommand;
  readonly revisions: Revisions;
  readonly udid: Udid;
  readonly lastSeenMs: EpochMs;
  readonly post: (message: DeviceMessage) => void;
}

export class HeldDeclarations {
  readonly #rooms: DeclarationRooms;

  constructor(rooms: DeclarationRooms) {
    this.#rooms = rooms;
  }

  /** Whether `replace` would do anything: the manifest is another, or the device is to be told anew. */
  isNews(declarationsToken: string, nowMs: EpochMs): boolean {
    const { manifest } = this.#rooms;
    const { progress, enrollment, declare } = this.#rooms.store;
    if (progress.declarationsToken !== declarationsToken) return true;
    const told = declare !== null || nowMs - (progress.manifestAtMs ?? nowMs) < FETCH_PATIENCE_MS;
    return enrollment?.state === 'enrolled' && !told && !manifest.isFetched();
  }

  replace(entries: readonly ManifestEntry[], declarationsToken: string, nowMs: EpochMs): void {
    const { store, manifest } = this.#rooms;
    if (store.progress.declarationsToken !== declarationsToken) {
      manifest.replace(entries);
      store.saveProgress({ declarationsToken, manifestAtMs: nowMs });
    }
    if (store.enrollment?.state === 'enrolled') this.#tellDevice();
  }

  /** From now on the device can be told what it is to hold. */
  enrolled(nowMs: EpochMs): void {
    if (this.#rooms.manifest.entries().length > 0) this.#tellDevice();
    this.#compile(nowMs);
  }

  read(enrollment: Enrollment, asItems: boolean): HeldManifest {
    const { store, manifest } = this.#rooms;
    if (asItems) manifest.forgetDropped();
    return {
      declarationsToken: store.progress.declarationsToken,
      changedAtMs: store.progress.manifestAtMs ?? enrollment.startedAtMs,
      entries: manifest.entries(),
      bootstrapToken: enrollment.bootstrapToken,
      platform: enrollment.platform,
    };
  }

  fetch(kind: DeclarationKind, identifier: string, nowMs: EpochMs): ManifestEntry | null {
    const { manifest } = this.#rooms;
    const entry = manifest.entries().find((held) => held.identifier === identifier && held.kind === kind);
    if (entry === undefined) return null;
    manifest.fetched(identifier, nowMs);
    return entry;
  }

  report(
    enrollment: Enrollment,
    report: DeclarationReport,
    nowMs: EpochMs,
  ): Outcome<null, StatusMergeRefusal> {
    const { store, manifest, status, revisions } = this.#rooms;
    const merged = status.take(report, nowMs);
    if (!merged.ok) return merged;
    const { declarations } = report;
    const declared = declarations === null ? [] : manifest.report(declarations, report.status.full, nowMs);
    const { capabilities } = report;
    if (capabilities !== null && capabilities !== store.progress.capabilities) {
      store.saveProgress({ capabilities });
      this.#compile(nowMs);
    }
    this.became(withReportedFacts(enrollment, report.status.values), nowMs);
    const { fleet, events } = merged.value;
    if (fleet !== null) revisions.projectStatus(fleet);
    revisions.happened([...events, ...declared], nowMs);
    return ok(null);
  }

  /** The device told which device and which system it is now, or that it leaves or stays. */
  became(known: Enrollment, nowMs: EpochMs): void {
    const { store, revisions, lastSeenMs } = this.#rooms;
    const before = store.enrollment;
    if (known === before) return;
    store.saveEnrollment(known);
    revisions.project(lastSeenMs);
    const another = known.osVersion !== before?.osVersion || known.productName !== before?.productName;
    if (another) this.#compile(nowMs);
  }

  /** What its manifest is compiled for has changed. */
  #compile(nowMs: EpochMs): void {
    this.#rooms.post({ kind: 'compile', udid: this.#rooms.udid, atMs: nowMs });
  }

  /** Of its manifest, as soon as it connects. */
  #tellDevice(): void {
    this.#rooms.declare.require();
    this.#rooms.post({ kind: 'wake', udid: this.#rooms.udid });
  }
}
