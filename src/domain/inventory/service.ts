/** A device's inventory for administrators, and the queries that bring it up to date. */
import type { PlistDict } from '../../protocol/plist/value.ts';
import { type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
import { type EpochMs, MINUTE_MS } from '../../std/time.ts';
import type { CommandService } from '../admin/command-services.ts';
import { commandUuidFor } from '../admin/idempotency.ts';
import type { AskedAgain, InventoryService, Refreshed, RefreshRefusal } from '../admin/inventory-services.ts';
import type { UnknownDevice } from '../admin/services.ts';
import type { CommandAdmission } from '../command/admission.ts';
import type { Waker } from '../command/ports.ts';
import type { Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { InventoryRecord, InventoryStore } from './ports.ts';
import { type RefreshedSection, refreshQuery } from './refresh.ts';
import { type InventorySection, inventoryScope, requestOf } from './section.ts';

/** Two refreshes at once, and one that is repeated because its answer was lost, ask once. */
const APART_MS = MINUTE_MS;
/** In the place of an administrator: whoever asks, a refresh within this time is the same. */
const REFRESH = { id: 'inventory-refresh' };

type Sorted = { -readonly [Key in keyof Refreshed]: Refreshed[Key][number][] };

export class Inventories implements InventoryService {
  readonly #store: InventoryStore;
  readonly #devices: Devices;
  readonly #commands: Pick<CommandService, 'enqueue'>;
  readonly #admission: Pick<CommandAdmission, 'judge'>;
  readonly #waker: Waker;
  readonly #isKnown: (udid: Udid) => Promise<boolean>;

  constructor(options: {
    readonly store: InventoryStore;
    readonly devices: Devices;
    readonly commands: Pick<CommandService, 'enqueue'>;
    readonly admission: Pick<CommandAdmission, 'judge'>;
    readonly waker: Waker;
    readonly isKnown: (udid: Udid) => Promise<boolean>;
  }) {
    this.#store = options.store;
    this.#devices = options.devices;
    this.#commands = options.commands;
    this.#admission = options.admission;
    this.#waker = options.waker;
    this.#isKnown = options.isKnown;
  }

  async sections(udid: Udid): Promise<Outcome<readonly InventoryRecord[], UnknownDevice>> {
    if (!(await this.#isUpToDate(udid))) return refuse({ kind: 'unknown-device', udid });
    return ok(await this.#store.sections(udid));
  }

  async section(
    udid: Udid,
    section: InventorySection,
  ): Promise<Outcome<InventoryRecord | null, UnknownDevice>> {
    if (!(await this.#isUpToDate(udid))) return refuse({ kind: 'unknown-device', udid });
    return ok(await this.#store.section(udid, section));
  }

  async refresh(
    udid: Udid,
    sections: readonly RefreshedSection[],
    nowMs: EpochMs,
  ): Promise<Outcome<Refreshed, RefreshRefusal>> {
    const device = (await this.#isUpToDate(udid)) ? await this.#devices.of(udid).describe() : null;
    if (device === null) return refuse({ kind: 'unknown-device', udid });
    const { state, enrollmentId } = device;
    if (state === 'checked-out') return refuse({ kind: 'device-not-enrolled', state });
    const waiting = await this.#store.asked(udid, enrollmentId);
    const sorted: Sorted = { queued: [], pending: [], recent: [], refused: [] };
    const missing: { section: RefreshedSection; command: PlistDict }[] = [];
    for (const section of sections) {
      const requestType = requestOf(section);
      const command = await refreshQuery(section, device, this.#admission);
      const scope = inventoryScope(requestType, command);
      const same = waiting.find((one) => one.requestType === requestType && one.scope === scope);
      if (same === undefined) missing.push({ section, command });
      else sorted.pending.push({ section, requestType, commandUuid: same.commandUuid });
    }
    for (const query of missing) {
      const { kind, asked } = await this.#ask({ ...query, udid, enrollmentId }, nowMs);
      if (kind === 'refused') sorted.refused.push(asked);
      else sorted[kind].push(asked);
    }
    // Once, and after the last of them: which of them the queue takes shows only then.
    if (sorted.queued.length > 0) await this.#wake(udid);
    return ok(sorted);
  }

  async #ask(
    query: {
      readonly udid: Udid;
      readonly section: RefreshedSection;
      readonly enrollmentId: string;
      readonly command: PlistDict;
    },
    nowMs: EpochMs,
  ): Promise<
    | { readonly kind: 'queued' | 'pending' | 'recent'; readonly asked: AskedAgain }
    | { readonly kind: 'refused'; readonly asked: Refreshed['refused'][number] }
  > {
    const { udid, section, enrollmentId, command } = query;
    const requestType = requestOf(section);
    const when = Math.floor(nowMs / APART_MS);
    const key = [enrollmentId, requestType, inventoryScope(requestType, command), when];
    const commandUuid = await commandUuidFor(REFRESH, udid, JSON.stringify(key));
    const enqueued = await this.#commands.enqueue(
      { udid, commandUuid, requestType, command, priority: 'normal', expiresAtMs: null, push: false },
      nowMs,
    );
    if (!enqueued.ok) return { kind: 'refused', asked: { section, reason: enqueued.refusal.kind } };
    const asked = { section, requestType, commandUuid };
    if (enqueued.value.created) return { kind: 'queued', asked };
    const { answeredAtMs } = enqueued.value.command;
    return { kind: answeredAtMs === null ? 'pending' : 'recent', asked };
  }

  /** What is queued stays queued when that fails. */
  async #wake(udid: Udid): Promise<void> {
    try {
      await this.#waker.wake(udid);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    }
  }

  /** What the object has not yet told is told now, so that an answer which just came is there. */
  async #isUpToDate(udid: Udid): Promise<boolean> {
    if (!(await this.#isKnown(udid))) return false;
    await this.#devices.of(udid).flush();
    return true;
  }
}
