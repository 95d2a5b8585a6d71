/**
 * Stored profiles on devices, by command. An order is recorded first, under the UUID that its command will have, and
 * then queued: whoever repeats it after any failure finds the record and queues the same command, which is nothing when
 * it was queued before. One order at most is under way for a profile on a device: with NotNow a device may take a later
 * command before an earlier one, so an order is canceled before the next is made, and one that the device holds is
 * waited for.
 */
import type { PlistDict, PlistValue } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import { Fault, type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandService, Enqueued, NewCommand } from '../admin/command-services.ts';
import { defaultPriority, NO_CONSEQUENCES } from '../admin/consequences.ts';
import { confirmedConsequences } from '../admin/order-command.ts';
import type {
  DeviceProfileService,
  InstallOrder,
  InstallRefusal,
  PreparedProfile,
  ProfileDispatch,
  ProfileOrdered,
  ProfileOrderRefusal,
  ProfileRemoved,
} from '../admin/profile-services.ts';
import type { DeviceDirectory, UnknownDevice } from '../admin/services.ts';
import type { UnknownUpload, UnknownVersion } from '../admin/upload-services.ts';
import type { Profiles } from '../declaration/profiles.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import { parseCommandUuid, type Udid } from '../ids.ts';
import type { DeviceProfile, DeviceProfileOrder, DeviceProfileStore } from './device-profile-ports.ts';
import { fitnessFor } from './judge.ts';

export interface DeviceProfileOptions {
  readonly profiles: Pick<Profiles, 'open'>;
  readonly store: DeviceProfileStore;
  readonly commands: Pick<CommandService, 'enqueue' | 'cancel'>;
  readonly directory: DeviceDirectory;
  readonly devices: Devices;
  /** Whether a certificate was ever issued for a UDID: no object is made for a guess. */
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  /** Signs a profile in the authority's name; the same profile gives the same bytes. */
  readonly sign: (profile: Bytes) => Promise<Bytes>;
  readonly isEnrollmentProfile: (identifier: string) => boolean;
  readonly newUuid: () => string;
}

/** One cancels; the others are for orders that come between reading and writing, each a person's or a tool's. */
const ATTEMPTS = 4;

type Judged = Pick<NewCommand, 'command'> & { readonly allowUnknown: boolean };
type Order = Omit<DeviceProfileOrder, 'commandUuid' | 'orderedAtMs'>;
type Placed = Outcome<Pick<ProfileOrdered, 'profile' | 'ordered'>, ProfileOrderRefusal | PlaceRefusal>;
type PlaceRefusal = Extract<
  InstallRefusal,
  { kind: 'unknown-upload' | 'payload-identifier-taken' | 'payload-identifier-changed' }
>;

export class DeviceProfiles implements DeviceProfileService {
  readonly #options: DeviceProfileOptions;

  constructor(options: DeviceProfileOptions) {
    this.#options = options;
  }

  async prepare(
    identifier: string,
    version: number | null,
  ): Promise<Outcome<PreparedProfile, UnknownUpload | UnknownVersion>> {
    const opened = await this.#options.profiles.open(identifier, version);
    if (!opened.ok) return opened;
    const { data, signedOnDelivery } = opened.value;
    return ok({ ...opened.value, payload: signedOnDelivery ? await this.#options.sign(data) : data });
  }

  async install(
    udid: Udid,
    order: InstallOrder,
    nowMs: EpochMs,
  ): Promise<Outcome<ProfileOrdered, InstallRefusal>> {
    const prepared = await this.prepare(order.identifier, order.version);
    return prepared.ok ? this.installPrepared(udid, prepared.value, order, nowMs) : prepared;
  }

  async installPrepared(
    udid: Udid,
    prepared: PreparedProfile,
    order: ProfileDispatch & Pick<InstallOrder, 'again'>,
    nowMs: EpochMs,
  ): Promise<Outcome<ProfileOrdered, InstallRefusal>> {
    const device = await this.#describe(udid);
    if (!device.ok) return device;
    const { identifier, version, payloadIdentifier, payload, profile, allowUnknown } = prepared;
    const { platform, osVersion, supervised, enrollmentId, declarations } = device.value;
    const target = { platform, osVersion, supervised, enrollment: 'device' } as const;
    const { ok: fits, problems, passedOver } = await fitnessFor(profile, allowUnknown, target);
    if (!fits) return refuse({ kind: 'profile-unfit', platform, problems });
    if (declarations.some((one) => one.kind === 'configuration' && one.identifier === identifier))
      return refuse({ kind: 'profile-declared' });
    const prior = await this.#options.store.find(udid, identifier);
    if (prior !== null && !order.again && holds(prior, version, enrollmentId))
      return ok({ profile: prior, ordered: false, ...NO_CONSEQUENCES, passedOver });
    const command = commandOf('InstallProfile', 'Payload', payload);
    const confirmed = await this.#confirm(udid, command, order);
    if (!confirmed.ok) return confirmed;
    const next = { udid, identifier, payloadIdentifier, action: 'install', version, enrollmentId } as const;
    const placed = await this.#place(next, { command, allowUnknown }, order, nowMs);
    return placed.ok ? ok({ ...placed.value, ...confirmed.value, passedOver }) : placed;
  }

  async remove(
    udid: Udid,
    identifier: string,
    dispatch: ProfileDispatch,
    nowMs: EpochMs,
  ): Promise<Outcome<ProfileRemoved, ProfileOrderRefusal>> {
    if (!(await this.#options.isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    const { store } = this.#options;
    let prior = await store.find(udid, identifier);
    if (prior?.state === 'ordered' && prior.installedVersion === null) {
      // It may be on its way, and if it is not, it never will be.
      if (!(await this.#cancels(prior, nowMs))) return underWay(prior);
      // Or the device has answered, which the record knows by now.
      prior = await store.find(udid, identifier);
    }
    if (prior === null || (prior.installedVersion === null && prior.state !== 'removing'))
      return ok({ profile: prior, ordered: false });
    const device = await this.#describe(udid);
    if (!device.ok) return device;
    const { enrollmentId } = device.value;
    const { payloadIdentifier } = prior;
    const version = prior.installedVersion ?? prior.version;
    const next = { udid, identifier, payloadIdentifier, action: 'remove', version, enrollmentId } as const;
    const command = commandOf('RemoveProfile', 'Identifier', payloadIdentifier);
    const placed = await this.#place(next, { command, allowUnknown: false }, dispatch, nowMs);
    if (placed.ok) return placed;
    const { refusal } = placed;
    if (isOrderRefusal(refusal)) return refuse(refusal);
    throw new Fault('profile-removal', `a removal met ${refusal.kind}`);
  }

  /** Records the order and queues its command; or finds both, from the first time that it was made. */
  async #place(order: Order, judged: Judged, dispatch: ProfileDispatch, nowMs: EpochMs): Promise<Placed> {
    const { store } = this.#options;
    let canceled: string | null = null;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const prior = await store.find(order.udid, order.identifier);
      const stands = prior !== null && isSame(prior, order);
      if (stands) {
        const again = await this.#queueAgain(prior, judged, dispatch, nowMs);
        if (again !== null) return again;
      }
      if (prior !== null && prior.installedVersion !== null) {
        const { payloadIdentifier } = prior;
        if (payloadIdentifier !== order.payloadIdentifier)
          return refuse({ kind: 'payload-identifier-changed', payloadIdentifier });
      }
      const isOther = prior !== null && !stands && prior.enrollmentId === order.enrollmentId;
      if (isOther && isUnderWay(prior) && prior.commandUuid !== canceled) {
        if (!(await this.#cancels(prior, nowMs))) return underWay(prior);
        // The record is read again: it says what became of the command.
        canceled = prior.commandUuid;
        continue;
      }
      const placing = { ...order, commandUuid: this.#freshUuid(), orderedAtMs: nowMs };
      const claimed = await store.claim(placing, prior?.commandUuid ?? null);
      if (claimed.ok) return this.#queue(placing, prior, judged, dispatch, nowMs);
      const { refusal } = claimed;
      if (refusal.kind === 'payload-identifier-taken') return refuse(refusal);
      if (refusal.kind === 'gone')
        return refuse({ kind: 'unknown-upload', resource: 'profiles', identifier: order.identifier });
    }
    throw new Unavailable('profile-contended', 'others gave orders for the same profile on the same device');
  }

  async #queue(
    order: DeviceProfileOrder,
    prior: DeviceProfile | null,
    judged: Judged,
    dispatch: ProfileDispatch,
    nowMs: EpochMs,
  ): Promise<Placed> {
    const enqueued = await this.#enqueue(order, judged, dispatch, nowMs);
    if (!enqueued.ok) {
      await this.#options.store.undo(order, prior);
      return enqueued;
    }
    const state = order.action === 'install' ? 'ordered' : 'removing';
    const { installedVersion = null, installedAtMs = null } = prior ?? {};
    const profile = {
      ...order,
      state,
      error: null,
      changedAtMs: nowMs,
      installedVersion,
      installedAtMs,
    } as const;
    return ok({ profile, ordered: true });
  }

  /** Taken back at once when another order has followed: it found no command to cancel. */
  async #enqueue(
    order: DeviceProfileOrder,
    judged: Judged,
    dispatch: ProfileDispatch,
    nowMs: EpochMs,
  ): Promise<Outcome<Enqueued, ProfileOrderRefusal>> {
    const { store, commands } = this.#options;
    const enqueued = await commands.enqueue(newCommand(order, judged, dispatch), nowMs);
    if (!enqueued.ok || !enqueued.value.created) return enqueued;
    const latest = await store.find(order.udid, order.identifier);
    if (latest === null || latest.commandUuid === order.commandUuid) return enqueued;
    await this.#cancels(order, nowMs);
    return underWay(latest);
  }

  /** The command of an order that is recorded: whether it was queued is not. Null when its time is over. */
  async #queueAgain(
    prior: DeviceProfile,
    judged: Judged,
    dispatch: ProfileDispatch,
    nowMs: EpochMs,
  ): Promise<Placed | null> {
    const enqueued = await this.#enqueue(prior, judged, dispatch, nowMs);
    // Another signer since, or another expiry: the command is there.
    if (!enqueued.ok && enqueued.refusal.kind !== 'command-conflict') return enqueued;
    const ended = enqueued.ok && ['expired', 'canceled'].includes(enqueued.value.command.state);
    return ended ? null : ok({ profile: prior, ordered: false });
  }

  /** False when the device may be at work on it. */
  async #cancels(prior: DeviceProfileOrder, nowMs: EpochMs): Promise<boolean> {
    const canceled = await this.#options.commands.cancel(prior.udid, prior.commandUuid, nowMs);
    // One that is unknown was recorded and never queued; one that ended is out of the way.
    return (
      canceled.ok || canceled.refusal.kind !== 'command-not-pending' || canceled.refusal.state !== 'delivered'
    );
  }

  #confirm(udid: Udid, command: PlistDict, { confirmedSerial }: ProfileDispatch) {
    const { directory, isEnrollmentProfile } = this.#options;
    return confirmedConsequences(
      { devices: directory, isEnrollmentProfile },
      { udid, requestType: 'InstallProfile', command, confirmedSerial },
    );
  }

  async #describe(
    udid: Udid,
  ): Promise<
    Outcome<DeviceDescription, UnknownDevice | { kind: 'device-not-enrolled'; state: 'checked-out' }>
  > {
    const { devices, isKnown } = this.#options;
    const device = (await isKnown(udid)) ? await devices.of(udid).describe() : null;
    if (device === null) return refuse({ kind: 'unknown-device', udid });
    const { state } = device;
    return state === 'checked-out' ? refuse({ kind: 'device-not-enrolled', state }) : ok(device);
  }

  #freshUuid() {
    const uuid = parseCommandUuid(this.#options.newUuid());
    if (!uuid.ok) throw new Fault('fresh-uuid', 'a fresh UUID has the form of a CommandUUID');
    return uuid.value;
  }
}

function holds(prior: DeviceProfile, version: number, enrollmentId: string): boolean {
  const { state, installedVersion } = prior;
  return state === 'installed' && installedVersion === version && prior.enrollmentId === enrollmentId;
}

function isUnderWay({ state }: DeviceProfile): boolean {
  return state === 'ordered' || state === 'removing';
}

function isSame(prior: DeviceProfile, order: Order): boolean {
  const { action, version, enrollmentId } = order;
  const same = prior.action === action && prior.enrollmentId === enrollmentId;
  return isUnderWay(prior) && same && (action === 'remove' || prior.version === version);
}

function underWay({ commandUuid }: DeviceProfile) {
  return refuse({ kind: 'profile-order-under-way', commandUuid } as const);
}

function isOrderRefusal(refusal: ProfileOrderRefusal | PlaceRefusal): refusal is ProfileOrderRefusal {
  return !['unknown-upload', 'payload-identifier-taken', 'payload-identifier-changed'].includes(refusal.kind);
}

function commandOf(requestType: string, key: string, value: PlistValue): PlistDict {
  return new Map<string, PlistValue>([
    ['RequestType', requestType],
    [key, value],
  ]);
}

function newCommand(
  { udid, commandUuid, action }: DeviceProfileOrder,
  { command, allowUnknown }: Judged,
  { expiresAtMs, push }: ProfileDispatch,
): NewCommand {
  const requestType = action === 'install' ? 'InstallProfile' : 'RemoveProfile';
  const priority = defaultPriority(requestType);
  return { udid, commandUuid, requestType, command, allowUnknown, priority, expiresAtMs, push };
}
