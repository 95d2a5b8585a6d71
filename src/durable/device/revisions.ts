/**
 * What the object tells under a number that only grows: projections, of which D1 keeps the newest however late the
 * others come, and events, of which it takes each once however often it is told.
 */
import type { FleetStatus } from '../../domain/declaration/fleet-status.ts';
import { type DeviceMessage, projectionOf } from '../../domain/enrollment/outbox.ts';
import type { Enrollment } from '../../domain/enrollment/state.ts';
import { batchEvents, type DeviceEvent } from '../../domain/event/event.ts';
import type { Udid } from '../../domain/ids.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DeviceStore } from './store.ts';

export class Revisions {
  readonly #store: DeviceStore;
  readonly #udid: Udid;
  readonly #post: (message: DeviceMessage) => void;

  constructor(store: DeviceStore, udid: Udid, post: (message: DeviceMessage) => void) {
    this.#store = store;
    this.#udid = udid;
    this.#post = post;
  }

  project(lastSeenMs: EpochMs): void {
    const { enrollment } = this.#store;
    if (enrollment === null) return;
    const revision = this.#next({ lastSeenMs });
    const device = projectionOf(this.#udid, enrollment, { revision, lastSeenMs });
    this.#post({ kind: 'projection', device });
  }

  /** What became of an enrollment that another takes the place of; D1 has to hear of both. */
  projectReplaced(enrollment: Enrollment, replacedAtMs: EpochMs): void {
    const { lastSeenMs } = this.#store.progress;
    const revision = this.#next();
    const device = projectionOf(this.#udid, enrollment, { revision, lastSeenMs, replacedAtMs });
    this.#post({ kind: 'projection', device });
  }

  projectStatus(items: FleetStatus): void {
    this.#post({ kind: 'status', udid: this.#udid, revision: this.#next(), items });
  }

  happened(events: readonly DeviceEvent[], atMs: EpochMs): void {
    for (const batch of batchEvents(events))
      this.#post({ kind: 'events', udid: this.#udid, revision: this.#next(), atMs, events: batch });
  }

  #next(also: { readonly lastSeenMs?: EpochMs } = {}): number {
    const revision = this.#store.progress.revision + 1;
    this.#store.saveProgress({ ...also, revision });
    return revision;
  }
}
