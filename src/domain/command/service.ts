/**
 * The command queue from both ends. Administrators enqueue: committed to D1, then the device's object is told,
 * then the device is woken; whatever fails after the commit, the sweeper makes good. Devices connect: the object
 * settles their result and decides whether D1 need be asked at all.
 */

import type { ConnectReport } from '../../protocol/mdm/connect.ts';
import { encodeCommand } from '../../protocol/mdm/connect.ts';
import { isDict } from '../../protocol/plist/value.ts';
import { type Bytes, readUtf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
import { addMs, type EpochMs, MINUTE_MS } from '../../std/time.ts';
import type {
  CancelRefusal,
  CommandRecord,
  CommandService,
  CommandSummary,
  Enqueued,
  EnqueueRefusal,
  MalformedCursor,
  NewCommand,
  Page,
  PageQuery,
  UnknownDevice,
} from '../admin/services.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import type { DeviceRefusal } from '../enrollment/state.ts';
import type { VerifiedDevice } from '../identity/verified-device.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import { inventoryScope } from '../inventory/section.ts';
import type { CommandAdmission } from './admission.ts';
import type { CommandStore, UnnotedCommand, Waker } from './ports.ts';

/** Design section 7: with 10,000 waiting something is wrong, and more would only hide it. */
const PENDING_MAX = 10_000;
/** How many rows a delivery looks at beyond those that must not go out: one is needed, some may be expired or new. */
const CANDIDATES = 8;
/** A command older than this that no object was told of was left behind by a failure, not by a slow request. */
const UNNOTED_AFTER_MS = MINUTE_MS;
/** Per sweep: at 5 minutes between sweeps this makes good 28,800 forgotten commands a day and more. */
const SWEEP_MAX = 100;

export class CommandQueue implements CommandService {
  readonly #store: CommandStore;
  readonly #devices: Devices;
  readonly #waker: Waker;
  readonly #isKnown: (udid: Udid) => Promise<boolean>;
  readonly #admission: CommandAdmission;

  /** `isKnown` says whether a certificate was ever issued for a UDID: no object is made for a guess. */
  constructor(options: {
    readonly store: CommandStore;
    readonly devices: Devices;
    readonly waker: Waker;
    readonly isKnown: (udid: Udid) => Promise<boolean>;
    readonly admission: CommandAdmission;
  }) {
    this.#store = options.store;
    this.#devices = options.devices;
    this.#waker = options.waker;
    this.#isKnown = options.isKnown;
    this.#admission = options.admission;
  }

  async enqueue(command: NewCommand, nowMs: EpochMs): Promise<Outcome<Enqueued, EnqueueRefusal>> {
    const { udid, commandUuid } = command;
    const body = readUtf8(encodeCommand(commandUuid, command.command)) ?? '';
    const repeated = await this.#repeated(udid, commandUuid, body, nowMs);
    if (repeated !== null) return repeated;
    const device = await this.#describe(udid);
    if (device === null) return refuse({ kind: 'unknown-device', udid });
    if (device.state === 'checked-out') return refuse({ kind: 'device-not-enrolled', state: device.state });
    const admitted = await this.#admission.judge(command, device);
    if (!admitted.ok) return admitted;
    const { requestType, priority, expiresAtMs } = command;
    const { enrollmentId } = device;
    const row = {
      commandUuid,
      udid,
      enrollmentId,
      requestType,
      body,
      priority,
      createdAtMs: nowMs,
      expiresAtMs,
      inventoryScope: inventoryScope(requestType, command.command),
    };
    if (!(await this.#store.insert(row, PENDING_MAX))) {
      return (
        (await this.#repeated(udid, commandUuid, body, nowMs)) ??
        refuse({ kind: 'queue-full', pendingMax: PENDING_MAX })
      );
    }
    await this.#announce(row, command.push, nowMs);
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
    page: PageQuery,
    nowMs: EpochMs,
  ): Promise<Outcome<Page<CommandSummary>, MalformedCursor | UnknownDevice>> {
    if (!(await this.#isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    return this.#store.list(udid, page, nowMs);
  }

  async find(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRecord | null> {
    if (!(await this.#isKnown(udid))) return null;
    // What the object has not yet told D1 is told now, so that a poll for a result sees it.
    await this.#devices.of(udid).flush();
    return this.#store.find(udid, commandUuid, nowMs);
  }

  async cancel(
    udid: Udid,
    commandUuid: CommandUuid,
    nowMs: EpochMs,
  ): Promise<Outcome<CommandSummary, CancelRefusal>> {
    if (!(await this.#isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    const before = await this.find(udid, commandUuid, nowMs);
    if (before === null) return refuse({ kind: 'unknown-command', commandUuid });
    const open = before.state === 'pending' || before.state === 'not-now';
    if (!open) return refuse({ kind: 'command-not-pending', state: before.state });
    if (!(await this.#devices.of(udid).cancel(commandUuid, nowMs))) {
      return refuse({ kind: 'command-not-pending', state: 'delivered' });
    }
    await this.#devices.of(udid).flush();
    const { result, ...summary } = before;
    return ok({ ...summary, state: 'canceled', answeredAtMs: nowMs });
  }

  /** A message on the command channel: the next command's bytes, or null to end the session. */
  async connect(
    device: VerifiedDevice,
    report: ConnectReport,
    nowMs: EpochMs,
  ): Promise<Outcome<Bytes | null, DeviceRefusal>> {
    const object = this.#devices.of(device.udid);
    const { status, commandUuid } = report;
    const step = await object.report(
      device.certificateDigest,
      {
        status,
        commandUuid,
        raw: status === 'Idle' ? new Uint8Array(0) : report.raw,
        supervised: toldSupervised(report),
      },
      nowMs,
    );
    if (!step.ok) return step;
    if (step.value.kind === 'empty') return ok(null);
    if (step.value.kind === 'deliver') return ok(step.value.body);
    const limit = step.value.passedOver + CANDIDATES;
    const candidates = await this.#store.next(device.udid, step.value.enrollmentId, nowMs, limit);
    const complete = candidates.length < limit;
    const { workTold } = step.value;
    return object.offer(
      device.certificateDigest,
      { candidates, complete, workTold, lastStatus: status },
      nowMs,
    );
  }

  /** A signed report that could not be read: true when the command that it belongs to was given up. */
  async giveUpUnreadable(device: VerifiedDevice, nowMs: EpochMs): Promise<boolean> {
    const settled = await this.#devices.of(device.udid).settleUnreadable(device.certificateDigest, nowMs);
    return settled.ok && settled.value;
  }

  /** Finds what failures left behind. Returns how many commands were made good. */
  async sweep(nowMs: EpochMs): Promise<number> {
    await this.#store.expire(nowMs);
    const forgotten = await this.#store.unnoted(addMs(nowMs, -UNNOTED_AFTER_MS), SWEEP_MAX);
    for (const command of forgotten) await this.#announce(command, true, nowMs);
    return forgotten.length;
  }

  async #announce(command: UnnotedCommand, push: boolean, nowMs: EpochMs): Promise<void> {
    const { udid, commandUuid, enrollmentId } = command;
    try {
      await this.#devices.of(udid).tellWork(enrollmentId, nowMs);
      await this.#store.noted(commandUuid, nowMs);
      if (push) await this.#waker.wake(udid);
    } catch (error) {
      // The command is committed; the sweeper tells the object. Anything but an outage is a bug and goes on.
      if (!(error instanceof Unavailable)) throw error;
    }
  }

  async #repeated(
    udid: Udid,
    commandUuid: CommandUuid,
    body: string,
    nowMs: EpochMs,
  ): Promise<Outcome<Enqueued, EnqueueRefusal> | null> {
    const stored = await this.#store.stored(commandUuid);
    if (stored === null) return null;
    if (stored.udid !== udid || stored.body !== body)
      return refuse({ kind: 'command-conflict', commandUuid });
    const record = await this.#store.find(udid, commandUuid, nowMs);
    if (record === null) return null;
    const { result, ...command } = record;
    return ok({ command, created: false });
  }

  async #describe(udid: Udid): Promise<DeviceDescription | null> {
    return (await this.#isKnown(udid)) ? this.#devices.of(udid).describe() : null;
  }
}

/** `IsSupervised` of a DeviceInformation answer: what tells that an iPhone cannot host managed watches. */
function toldSupervised(report: ConnectReport): boolean | null {
  const responses = report.content.get('QueryResponses');
  const supervised = responses !== undefined && isDict(responses) ? responses.get('IsSupervised') : undefined;
  return typeof supervised === 'boolean' ? supervised : null;
}
