/**
 * A command that ended, ordered anew: the same content under a new CommandUUID, judged and confirmed like any order.
 * The new one names the old. Whoever repeats the request with the same CommandUUID finds the one that it made.
 */
import { type Outcome, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandUuid, SerialNumber, Udid } from '../ids.ts';
import type { CommandPriority, RepeatRefusal } from './command-services.ts';
import { type Ordered, type OrderRefusal, type OrderServices, orderCommand } from './order-command.ts';

export interface RequeueOrder {
  readonly udid: Udid;
  /** The one that ended. */
  readonly requeuedFrom: CommandUuid;
  readonly commandUuid: CommandUuid;
  /** `null` leaves it as it was. */
  readonly priority: CommandPriority | null;
  readonly expiresAtMs: EpochMs | null;
  readonly push: boolean;
  readonly confirmedSerial: SerialNumber | null;
  readonly allowUnknown: boolean;
  /** Also if the device acknowledged it. */
  readonly again: boolean;
}

export async function requeueCommand(
  services: OrderServices,
  { again, ...order }: RequeueOrder,
  nowMs: EpochMs,
): Promise<Outcome<Ordered, OrderRefusal | RepeatRefusal>> {
  const { udid, commandUuid, requeuedFrom } = order;
  // It would be found as a repetition of itself.
  if (commandUuid === requeuedFrom)
    return refuse({ kind: 'command-conflict', commandUuid, of: 'other-content' });
  const repeated = await services.commands.repeatable(udid, requeuedFrom, again, nowMs);
  if (!repeated.ok) return repeated;
  const { requestType, command, priority } = repeated.value;
  return orderCommand(
    services,
    { ...order, requestType, command, priority: order.priority ?? priority },
    nowMs,
  );
}
