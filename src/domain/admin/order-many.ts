/**
 * One command for many devices: each gets its own, under a CommandUUID that follows from the order's and its UDID. So an
 * order whose answer was lost is simply said again: it finds what was queued and queues the rest. Each device is judged by
 * itself; one that refuses, or cannot be reached, keeps none of the others from theirs.
 */
import { forEachBounded } from '../../std/bounded.ts';
import { type Outcome, ok, Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandUuid, SerialNumber, Udid } from '../ids.ts';
import type { UnknownGroup } from './declaration-services.ts';
import { commandUuidOf } from './idempotency.ts';
import {
  type CommandOrder,
  type Ordered,
  type OrderRefusal,
  type OrderServices,
  orderCommand,
} from './order-command.ts';
import type { AdminServices, MalformedCursor, PageQuery } from './services.ts';

/** Design section 7. A larger fleet is ordered page by page of a group. */
export const TARGETS_MAX = 500;
/** All copies of the command together: every device has its own row. 500 take 32 KiB each, 80 a profile of 200 KiB. */
export const COPIES_BYTES_MAX = 16 * 1024 * 1024;
/** What waits at once is written to D1 together, so more of it costs less; each has a connection to its object. */
const AT_ONCE = 50;

export type Targets =
  | { readonly kind: 'devices'; readonly udids: readonly Udid[] }
  | { readonly kind: 'group'; readonly name: string; readonly page: PageQuery };

export interface ManyOrder extends Omit<CommandOrder, 'udid' | 'confirmedSerial'> {
  readonly targets: Targets;
  /** What the administrator repeated of each device. */
  readonly confirmedSerials: ReadonlyMap<Udid, SerialNumber>;
}

export interface TargetOutcome {
  readonly udid: Udid;
  readonly commandUuid: CommandUuid;
  /** A device that could not be reached may have the command or not: saying the order again tells. */
  readonly outcome: Outcome<Ordered, OrderRefusal | { readonly kind: 'unavailable' }>;
}

export interface ManyOrdered {
  /** By UDID. */
  readonly outcomes: readonly TargetOutcome[];
  /** Where the group goes on. */
  readonly cursor: string | null;
}

/** `gathered` are services of which many calls at once cost less; they are made for one order and dropped. */
export type ManyServices = Pick<AdminServices, 'groups' | 'isEnrollmentProfile' | 'gathered'>;

export async function orderMany(
  services: ManyServices,
  order: ManyOrder,
  nowMs: EpochMs,
): Promise<Outcome<ManyOrdered, MalformedCursor | UnknownGroup>> {
  const targets = await expandTargets(services, order.targets);
  if (!targets.ok) return targets;
  const { udids, cursor } = targets.value;
  const { isEnrollmentProfile } = services;
  const gathered = { ...services.gathered(), isEnrollmentProfile };
  const outcomes = await eachTarget(udids, (udid) => orderOne(gathered, order, udid, nowMs));
  return ok({ outcomes, cursor });
}

/** In their order. */
export async function eachTarget<T>(
  udids: readonly Udid[],
  act: (udid: Udid) => Promise<T>,
): Promise<readonly T[]> {
  const outcomes = new Map<Udid, T>();
  await forEachBounded(udids, AT_ONCE, async (udid) => {
    outcomes.set(udid, await act(udid));
  });
  return udids.flatMap((udid) => outcomes.get(udid) ?? []);
}

export async function expandTargets(
  { groups }: Pick<ManyServices, 'groups'>,
  targets: Targets,
): Promise<Outcome<{ udids: readonly Udid[]; cursor: string | null }, MalformedCursor | UnknownGroup>> {
  if (targets.kind === 'devices') return ok({ udids: [...new Set(targets.udids)].sort(), cursor: null });
  const page = await groups.members(targets.name, targets.page);
  return page.ok ? ok({ udids: page.value.items, cursor: page.value.cursor }) : page;
}

async function orderOne(
  services: OrderServices,
  { targets: _all, confirmedSerials, commandUuid: name, ...order }: ManyOrder,
  udid: Udid,
  nowMs: EpochMs,
): Promise<TargetOutcome> {
  const commandUuid = await commandUuidOf(name, udid);
  const confirmedSerial = confirmedSerials.get(udid) ?? null;
  try {
    const outcome = await orderCommand(services, { ...order, udid, commandUuid, confirmedSerial }, nowMs);
    return { udid, commandUuid, outcome };
  } catch (error) {
    // The others go on, and the answer names this one. Anything but an outage is a bug and ends the call.
    if (!(error instanceof Unavailable)) throw error;
    return { udid, commandUuid, outcome: { ok: false, refusal: { kind: 'unavailable' } } };
  }
}

/** How many devices may have a copy of this command in one call; at least one. */
export function targetsMaxOf(commandBytes: number): number {
  return Math.max(1, Math.min(TARGETS_MAX, Math.floor(COPIES_BYTES_MAX / Math.max(1, commandBytes))));
}
