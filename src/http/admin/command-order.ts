/**
 * The request for a command, read: its JSON becomes a `Command` dictionary, and the command gets its UUID: the
 * one in the body, else the one its `Idempotency-Key` stands for, else a fresh one. An order for many devices gets a name
 * in the same way.
 */
import { commandUuidFor, orderUuidFor } from '../../domain/admin/idempotency.ts';
import type { CommandOrder } from '../../domain/admin/order-command.ts';
import { type ManyOrder, type Targets, targetsMaxOf } from '../../domain/admin/order-many.ts';
import { type CommandUuid, parseCommandUuid, type SerialNumber, type Udid } from '../../domain/ids.ts';
import { jsonToPlist } from '../../protocol/plist/json.ts';
import { isDict } from '../../protocol/plist/value.ts';
import { utf8 } from '../../std/bytes.ts';
import { Fault, type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, DAY_MS, type EpochMs } from '../../std/time.ts';
import { decodeCursor } from './cursor.ts';
import type { AdminContext } from './env.ts';
import { readJson } from './input.ts';
import type { RequestRefusal } from './refusals.ts';
import {
  EXPIRY_DAYS_MAX,
  IDEMPOTENCY_KEY,
  type ManyBody,
  newCommand,
  newCommands,
  type OrderBody,
} from './schemas/command.ts';

type AnyDevice = Omit<CommandOrder, 'udid' | 'commandUuid' | 'confirmedSerial'>;

export async function readOrder(
  c: AdminContext,
  udid: Udid,
  newUuid: () => string,
): Promise<Outcome<CommandOrder, RequestRefusal>> {
  const body = await readJson(c, newCommand);
  if (!body.ok) return body;
  const order = readCommand(body.value, c.get('nowMs'));
  if (!order.ok) return order;
  const fromKey = (key: string) => commandUuidFor(c.get('admin'), udid, key);
  const commandUuid = await chooseUuid(c, body.value.commandUuid, { fromKey, newUuid });
  if (!commandUuid.ok) return commandUuid;
  const confirmedSerial = body.value.confirm?.serial ?? null;
  return ok({ ...order.value, udid, commandUuid: commandUuid.value, confirmedSerial });
}

export async function readManyOrder(
  c: AdminContext,
  newUuid: () => string,
): Promise<Outcome<ManyOrder, RequestRefusal>> {
  const body = await readJson(c, newCommands);
  if (!body.ok) return body;
  const order = readCommand(body.value, c.get('nowMs'));
  if (!order.ok) return order;
  const targets = readTargets(body.value);
  if (!targets.ok) return targets;
  const fromKey = (key: string) => orderUuidFor(c.get('admin'), key);
  const commandUuid = await chooseUuid(c, body.value.commandUuid, { fromKey, newUuid });
  if (!commandUuid.ok) return commandUuid;
  const serials = Object.entries(body.value.confirm?.serials ?? {}) as [Udid, SerialNumber][];
  const confirmedSerials = new Map(serials);
  return ok({ ...order.value, targets: targets.value, commandUuid: commandUuid.value, confirmedSerials });
}

/** The scope of a group's cursors. */
export function orderScope(group: string): string {
  return `order ${group}`;
}

function readTargets({ command, devices, group, cursor, limit }: ManyBody): Outcome<Targets, RequestRefusal> {
  const targetsMax = targetsMaxOf(utf8(JSON.stringify(command)).length);
  if (group !== undefined) {
    const from = decodeCursor(orderScope(group), cursor);
    if (!from.ok) return from;
    return ok({
      kind: 'group',
      name: group,
      page: { cursor: from.value, limit: Math.min(limit, targetsMax) },
    });
  }
  const udids = devices ?? [];
  if (cursor !== undefined) return invalid('/cursor', 'a group beside it');
  if (udids.length > targetsMax)
    return invalid('/devices', `at most ${targetsMax} for a command of this size`);
  return ok({ kind: 'devices', udids });
}

function readCommand(body: OrderBody, nowMs: EpochMs): Outcome<AnyDevice, RequestRefusal> {
  const { command, priority, expiresAt, push, allowUnknown } = body;
  const dict = jsonToPlist(command);
  if (!dict.ok || !isDict(dict.value)) {
    const { reason, path } = dict.ok ? { reason: 'not a dictionary', path: '' } : dict.refusal;
    return invalid('/command', `a property list (${reason}${path === '' ? '' : ` at ${path}`})`);
  }
  if (expiresAt !== undefined && !isNear(expiresAt, nowMs)) {
    return invalid('/expiresAt', `a time after now and at most ${EXPIRY_DAYS_MAX} days away`);
  }
  return ok({
    requestType: command.RequestType,
    command: dict.value,
    priority: priority ?? null,
    expiresAtMs: expiresAt ?? null,
    push,
    allowUnknown,
  });
}

async function chooseUuid(
  c: AdminContext,
  wished: CommandUuid | undefined,
  make: { readonly fromKey: (key: string) => Promise<CommandUuid>; readonly newUuid: () => string },
): Promise<Outcome<CommandUuid, RequestRefusal>> {
  if (wished !== undefined) return ok(wished);
  const key = c.req.header('Idempotency-Key');
  if (key === undefined) return ok(fresh(make.newUuid()));
  if (!IDEMPOTENCY_KEY.test(key)) {
    return invalid('Idempotency-Key', '1 to 255 printable ASCII characters without spaces');
  }
  return ok(await make.fromKey(key));
}

function fresh(uuid: string): CommandUuid {
  const parsed = parseCommandUuid(uuid);
  if (!parsed.ok) throw new Fault('fresh-uuid', 'a fresh UUID has the form of a CommandUUID');
  return parsed.value;
}

/** Not past, and near enough to be meant. */
export function isNear(at: EpochMs, nowMs: EpochMs): boolean {
  return at > nowMs && at <= addMs(nowMs, EXPIRY_DAYS_MAX * DAY_MS);
}

function invalid(path: string, expected: string) {
  return refuse<RequestRefusal>({ kind: 'invalid', errors: [{ path, expected }] });
}
