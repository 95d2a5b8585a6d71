/**
 * An administrator's order of one command: look at what it causes, ask for confirmation where that is grave,
 * then queue it. The device is looked up only for commands that can be grave; the queue itself knows the rest.
 */
import type { PlistDict } from '../../protocol/plist/value.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandUuid, SerialNumber, Udid } from '../ids.ts';
import {
  type ConfirmationRefusal,
  type Consequence,
  consequencesOf,
  decideConfirmation,
  defaultPriority,
  mayHaveConsequences,
} from './consequences.ts';
import type { AdminServices, CommandPriority, Enqueued, EnqueueRefusal, UnknownDevice } from './services.ts';

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
}

export interface Ordered extends Enqueued {
  readonly causes: readonly Consequence[];
}

export type OrderRefusal = EnqueueRefusal | ConfirmationRefusal;

type OrderServices = Pick<AdminServices, 'commands' | 'devices' | 'isEnrollmentProfile'>;

export async function orderCommand(
  services: OrderServices,
  order: CommandOrder,
  nowMs: EpochMs,
): Promise<Outcome<Ordered, OrderRefusal>> {
  const causes = await confirmedCauses(services, order);
  if (!causes.ok) return causes;
  const { udid, commandUuid, requestType, command, expiresAtMs, push } = order;
  const priority = order.priority ?? defaultPriority(requestType);
  const enqueued = await services.commands.enqueue(
    { udid, commandUuid, requestType, command, priority, expiresAtMs, push },
    nowMs,
  );
  return enqueued.ok ? ok({ ...enqueued.value, causes: causes.value }) : enqueued;
}

async function confirmedCauses(
  { devices, isEnrollmentProfile }: OrderServices,
  { udid, requestType, command, confirmedSerial }: CommandOrder,
): Promise<Outcome<readonly Consequence[], UnknownDevice | ConfirmationRefusal>> {
  if (!mayHaveConsequences(requestType)) return ok([]);
  const device = await devices.find(udid);
  if (device === null) return refuse({ kind: 'unknown-device', udid });
  const judged = { requestType, profileIdentifier: command.get('Identifier') };
  const causes = consequencesOf(judged, device, isEnrollmentProfile);
  const confirmed = decideConfirmation(causes, device, confirmedSerial);
  return confirmed.ok ? ok(causes) : confirmed;
}
