/**
 * The command queue from the device's end: its object settles what it reports and decides whether D1 need be asked at
 * all; what is to go out is opened here, since objects have no key.
 */
import type { ConnectReport } from '../../protocol/mdm/connect.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { ConnectStep, Delivery, Device, Devices } from '../enrollment/device.ts';
import { factsOfAnswer } from '../enrollment/facts.ts';
import type { DeviceRefusal } from '../enrollment/state.ts';
import type { VerifiedDevice } from '../identity/verified-device.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { CommandContents, GivenUp } from './content.ts';
import type { CommandStore, Waker } from './ports.ts';

/** Commands that one message finds unfit to go out, each some reads and writes; for the others it is woken again. */
const GIVEN_UP_MAX = 16;

export interface ChannelOptions {
  readonly store: Pick<CommandStore, 'next'>;
  readonly devices: Devices;
  readonly contents: CommandContents;
  readonly waker: Waker;
  /** For the log: a command was given up before the device saw it. */
  readonly onGivenUp: (udid: Udid, commandUuid: CommandUuid, status: GivenUp) => void;
}

type Answer<T> = Promise<Outcome<T, DeviceRefusal>>;

export class CommandChannel {
  readonly #options: ChannelOptions;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** A message on the command channel: the next command's bytes, or null to end the session. */
  async connect(device: VerifiedDevice, report: ConnectReport, nowMs: EpochMs): Answer<Bytes | null> {
    const { devices, contents, waker, onGivenUp } = this.#options;
    const { udid, certificateDigest } = device;
    const object = devices.of(udid);
    const { status, commandUuid } = report;
    const raw = status === 'Idle' ? new Uint8Array(0) : report.raw;
    const told = { status, commandUuid, raw, facts: factsOfAnswer(report.content) };
    let step = await object.report(certificateDigest, told, nowMs);
    for (let givenUp = 0; givenUp < GIVEN_UP_MAX; givenUp++) {
      const delivery = await this.#choose(device, object, step, status, nowMs);
      if (!delivery.ok) return delivery;
      if (delivery.value === null) return ok(null);
      const out = await contents.outgoing(udid, delivery.value);
      if (out.ok) return out;
      const failed = delivery.value.commandUuid;
      onGivenUp(udid, failed, out.refusal.status);
      step = await object.giveUp(certificateDigest, failed, out.refusal.status, nowMs);
    }
    if (!step.ok) return step;
    await waker.wake(udid);
    return ok(null);
  }

  /** A signed report that could not be read: true when the command that it belongs to was given up. */
  async giveUpUnreadable(device: VerifiedDevice, nowMs: EpochMs): Promise<boolean> {
    const { devices } = this.#options;
    const settled = await devices.of(device.udid).settleUnreadable(device.certificateDigest, nowMs);
    return settled.ok && settled.value;
  }

  async #choose(
    { udid, certificateDigest }: VerifiedDevice,
    object: Device,
    step: Outcome<ConnectStep, DeviceRefusal>,
    lastStatus: ConnectReport['status'],
    nowMs: EpochMs,
  ): Answer<Delivery | null> {
    if (!step.ok) return step;
    if (step.value.kind === 'empty') return ok(null);
    if (step.value.kind === 'deliver') return ok(step.value.delivery);
    const { enrollmentId, workTold, passedOver } = step.value;
    const shown = await this.#options.store.next(udid, enrollmentId, nowMs, passedOver);
    return object.offer(certificateDigest, { ...shown, workTold, lastStatus }, nowMs);
  }
}
