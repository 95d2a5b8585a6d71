/**
 * An administrator's order of one command: look at what it causes, ask for confirmation where that is grave,
 * then queue it. The device is looked up only for commands that can be grave; the queue itself knows the rest.
 */
import type { PlistDict } from '../../protocol/plist/value.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandUuid, SerialNumber, Udid } from '../ids.ts';
import type { CommandPriority, Enqueued, EnqueueRefusal } from './command-services.ts';
import {
  type ConfirmationRefusal,
  type Consequences,
  consequencesOf,
  decideConfirmation,
  defaultPriority,
  mayHaveConsequences,
  NO_CONSEQUENCES,
} from './consequences.ts';
import type { AdminServices, UnknownDevice } from './services.ts';

export interface CommandOrder {
  readonly udid: Udid;
  readonly commandUuid: CommandUuid;
  readonly requestType: string;
  readonly command: PlistDict;
  /** `null` leaves it to the command's kind. */
  readonly priority: CommandPriority | null;
  readonly expiresAtMs: EpochMs | null;
  readonly push: boolean;
  /** The serial number that the administrator repeated, if any. */
  readonly confirmedSerial: SerialNumber | null;
  readonly allowUnknown: boolean;
  /** The command that it repeats, if any. */
  readonly requeuedFrom?: CommandUuid;
}

export interface Ordered extends Enqueued, Consequences {}

export type OrderRefusal = EnqueueRefusal | ConfirmationRefusal;

export type OrderServices = Pick<AdminServices, 'commands' | 'devices' | 'isEnrollmentProfile'>;

export async function orderCommand(
  services: OrderServices,
  order: CommandOrder,
  nowMs: EpochMs,
): Promise<Outcome<Ordered, OrderRefusal>> {
  const consequences = await confirmedConsequences(services, order);
  if (!consequences.ok) return consequences;
  const { confirmedSerial, ...ordered } = order;
  const priority = order.priority ?? defaultPriority(order.requestType);
  const enqueued = await services.commands.enqueue({ ...ordered, priority }, nowMs);
  return enqueued.ok ? ok({ ...enqueued.value, ...consequences.value }) : enqueued;
}

/** For whoever has something to write down before the command is queued. */
export async function confirmedConsequences(
  { devices, isEnrollmentProfile }: Pick<OrderServices, 'devices' | 'isEnrollmentProfile'>,
  {
    udid,
    requestType,
    command,
    confirmedSerial,
  }: Pick<CommandOrder, 'udid' | 'requestType' | 'command' | 'confirmedSerial'>,
): Promise<Outcome<Consequences, UnknownDevice | ConfirmationRefusal>> {
  if (!mayHaveConsequences(requestType)) return ok(NO_CONSEQUENCES);
  const device = await devices.find(udid);
  if (device === null) return refuse({ kind: 'unknown-device', udid });
  const consequences = consequencesOf({ requestType, command }, device, isEnrollmentProfile);
  const confirmed = decideConfirmation(consequences.causes, device, confirmedSerial);
  return confirmed.ok ? ok(consequences) : confirmed;
}
