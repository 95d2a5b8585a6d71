/**
 * The command queue from the administrators' end. What is ordered is committed to D1, sealed, then the device's object
 * is told, then the device is woken; whatever fails after the commit, the sweeper makes good.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  CancelRefusal,
  CommandFilter,
  CommandPage,
  CommandRecord,
  CommandService,
  CommandState,
  CommandSummary,
  Enqueued,
  EnqueueRefusal,
  NewCommand,
  RepeatableCommand,
  RepeatRefusal,
} from '../admin/command-services.ts';
import type { MalformedCursor, PageQuery, UnknownDevice } from '../admin/services.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import { signOf } from '../enrollment/ending.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import { inventoryScope } from '../inventory/section.ts';
import type { CommandAdmission } from './admission.ts';
import { announce } from './announce.ts';
import type { CommandContents } from './content.ts';
import { maskCommand } from './mask.ts';
import type { CommandRow, CommandStore, Waker } from './ports.ts';

/** Design section 7: with 10,000 waiting something is wrong, and more would only hide it. */
const PENDING_MAX = 10_000;
const ENDED: ReadonlySet<CommandState> = new Set(['acknowledged', 'error', 'expired', 'canceled']);

export class CommandQueue implements CommandService {
  readonly #store: CommandStore;
  readonly #devices: Devices;
  readonly #waker: Waker;
  readonly #contents: CommandContents;
  readonly #isKnown: (udid: Udid) => Promise<boolean>;
  readonly #admission: CommandAdmission;

  /** `isKnown` says whether a certificate was ever issued for a UDID: no object is made for a guess. */
  constructor(options: {
    readonly store: CommandStore;
    readonly devices: Devices;
    readonly waker: Waker;
    readonly contents: CommandContents;
    readonly isKnown: (udid: Udid) => Promise<boolean>;
    readonly admission: CommandAdmission;
  }) {
    this.#store = options.store;
    this.#devices = options.devices;
    this.#waker = options.waker;
    this.#contents = options.contents;
    this.#isKnown = options.isKnown;
    this.#admission = options.admission;
  }

  async enqueue(command: NewCommand, nowMs: EpochMs): Promise<Outcome<Enqueued, EnqueueRefusal>> {
    const { udid, commandUuid } = command;
    const repeated = await this.#repeated(command, nowMs);
    if (repeated !== null) return repeated;
    const device = await this.#describe(udid);
    if (device === null) return refuse({ kind: 'unknown-device', udid });
    if (device.state === 'checked-out') return refuse({ kind: 'device-not-enrolled', state: device.state });
    const admitted = await this.#admission.judge(command, device);
    if (!admitted.ok) return admitted;
    const { requestType, priority, expiresAtMs, requeuedFrom = null } = command;
    const { enrollmentId } = device;
    const body = await this.#contents.seal(udid, commandUuid, command.command);
    const named = { commandUuid, udid, enrollmentId, requestType, body, priority };
    const open = {
      inventoryScope: inventoryScope(requestType, command.command),
      farewell: signOf(requestType, command.command),
    };
    const row = { ...named, ...open, createdAtMs: nowMs, expiresAtMs, requeuedFrom };
    if (!(await this.#store.insert(row, PENDING_MAX))) {
      return (
        (await this.#repeated(command, nowMs)) ?? refuse({ kind: 'queue-full', pendingMax: PENDING_MAX })
      );
    }
    await announce(this.#announcing, row, command.push, nowMs);
    const summary = {
      commandUuid,
      udid,
      requestType,
      status: null,
      createdAtMs: nowMs,
      expiresAtMs,
      answeredAtMs: null,
    };
    return ok({ command: { ...summary, state: 'pending' }, created: true });
  }

  async list(
    udid: Udid,
    filter: CommandFilter,
    page: PageQuery,
    nowMs: EpochMs,
  ): Promise<Outcome<CommandPage, MalformedCursor | UnknownDevice>> {
    if (!(await this.#isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    return this.#store.list(udid, filter, page, nowMs);
  }

  async find(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRecord | null> {
    const found = await this.#row(udid, commandUuid, nowMs);
    if (found === null) return null;
    const { body, ...record } = found;
    const command = await this.#contents.read(udid, commandUuid, body);
    return { ...record, command: command === null ? null : maskCommand(command) };
  }

  async cancel(
    udid: Udid,
    commandUuid: CommandUuid,
    nowMs: EpochMs,
  ): Promise<Outcome<CommandSummary, CancelRefusal>> {
    if (!(await this.#isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    const before = await this.#row(udid, commandUuid, nowMs);
    if (before === null) return refuse({ kind: 'unknown-command', commandUuid });
    const open = before.state === 'pending' || before.state === 'not-now';
    if (!open) return refuse({ kind: 'command-not-pending', state: before.state });
    if (!(await this.#devices.of(udid).cancel(commandUuid, nowMs))) {
      return refuse({ kind: 'command-not-pending', state: 'delivered' });
    }
    await this.#devices.of(udid).flush();
    return ok({ ...summaryOf(before), state: 'canceled', answeredAtMs: nowMs });
  }

  async repeatable(
    udid: Udid,
    commandUuid: CommandUuid,
    again: boolean,
    nowMs: EpochMs,
  ): Promise<Outcome<RepeatableCommand, RepeatRefusal>> {
    if (!(await this.#isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    const found = await this.#row(udid, commandUuid, nowMs);
    if (found === null) return refuse({ kind: 'unknown-command', commandUuid });
    const { state, body, requestType, priority } = found;
    if (!ENDED.has(state)) return refuse({ kind: 'command-not-ended', state });
    // The object's own are the only ones in clear.
    if (body?.sealed === false) return refuse({ kind: 'command-is-own' });
    const identifier = await this.#store.profileOf(commandUuid);
    if (identifier !== null) return refuse({ kind: 'command-of-profile', identifier });
    if (state === 'acknowledged' && !again) return refuse({ kind: 'command-acknowledged' });
    const command = await this.#contents.read(udid, commandUuid, body);
    if (command === null) return refuse({ kind: 'content-lost' });
    return ok({ requestType, command, priority });
  }

  get #announcing() {
    return { store: this.#store, devices: this.#devices, waker: this.#waker };
  }

  async #row(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRow | null> {
    if (!(await this.#isKnown(udid))) return null;
    // What the object has not yet told D1 is told now, so that a poll for a result sees it.
    await this.#devices.of(udid).flush();
    return this.#store.find(udid, commandUuid, nowMs);
  }

  async #repeated(
    { udid, commandUuid, command }: NewCommand,
    nowMs: EpochMs,
  ): Promise<Outcome<Enqueued, EnqueueRefusal> | null> {
    const stored = await this.#store.stored(commandUuid);
    if (stored === null) return null;
    if (stored.udid !== udid) return refuse({ kind: 'command-conflict', commandUuid, of: 'another-device' });
    const same = await this.#contents.isSame(udid, commandUuid, stored.body, command);
    if (!same) return refuse({ kind: 'command-conflict', commandUuid, of: 'other-content' });
    const record = await this.#store.find(udid, commandUuid, nowMs);
    return record === null ? null : ok({ command: summaryOf(record), created: false });
  }

  async #describe(udid: Udid): Promise<DeviceDescription | null> {
    return (await this.#isKnown(udid)) ? this.#devices.of(udid).describe() : null;
  }
}

function summaryOf(row: CommandSummary): CommandSummary {
  const { commandUuid, udid, requestType, state, status, createdAtMs, expiresAtMs, answeredAtMs } = row;
  return { commandUuid, udid, requestType, state, status, createdAtMs, expiresAtMs, answeredAtMs };
}
