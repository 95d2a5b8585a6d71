/**
 * The request for a command, read: its JSON becomes a `Command` dictionary, and the command gets its UUID: the
 * one in the body, else the one its `Idempotency-Key` stands for, else a fresh one. An order for many devices gets a name
 * in the same way.
 */
import type * as v from 'valibot';
import { commandUuidFor, orderUuidFor } from '../../domain/admin/idempotency.ts';
import type { CommandOrder } from '../../domain/admin/order-command.ts';
import { type ManyOrder, type Targets, targetsMaxOf } from '../../domain/admin/order-many.ts';
import type { RequeueOrder } from '../../domain/admin/requeue-command.ts';
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
  requeue,
} from './schemas/command.ts';

export async function readOrder(
  c: AdminContext,
  udid: Udid,
  newUuid: () => string,
): Promise<Outcome<CommandOrder, RequestRefusal>> {
  const body = await readJson(c, newCommand);
  if (!body.ok) return body;
  const said = readCommand(body.value.command);
  if (!said.ok) return said;
  const delivery = await readDelivery(c, udid, body.value, newUuid);
  return delivery.ok ? ok({ ...said.value, ...delivery.value }) : delivery;
}

export async function readRequeue(
  c: AdminContext,
  udid: Udid,
  requeuedFrom: CommandUuid,
  newUuid: () => string,
): Promise<Outcome<RequeueOrder, RequestRefusal>> {
  const body = await readJson(c, requeue);
  if (!body.ok) return body;
  const delivery = await readDelivery(c, udid, body.value, newUuid);
  if (!delivery.ok) return delivery;
  return ok({ ...delivery.value, requeuedFrom, again: body.value.again });
}

export async function readManyOrder(
  c: AdminContext,
  newUuid: () => string,
): Promise<Outcome<ManyOrder, RequestRefusal>> {
  const body = await readJson(c, newCommands);
  if (!body.ok) return body;
  const said = readCommand(body.value.command);
  if (!said.ok) return said;
  const terms = readTerms(body.value, c.get('nowMs'));
  if (!terms.ok) return terms;
  const targets = readTargets(body.value);
  if (!targets.ok) return targets;
  const fromKey = (key: string) => orderUuidFor(c.get('admin'), key);
  const commandUuid = await chooseUuid(c, body.value.commandUuid, { fromKey, newUuid });
  if (!commandUuid.ok) return commandUuid;
  const serials = Object.entries(body.value.confirm?.serials ?? {}) as [Udid, SerialNumber][];
  const order = { ...said.value, ...terms.value, targets: targets.value, commandUuid: commandUuid.value };
  return ok({ ...order, confirmedSerials: new Map(serials) });
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

type Said = Pick<CommandOrder, 'requestType' | 'command'>;

function readCommand(command: OrderBody['command']): Outcome<Said, RequestRefusal> {
  const dict = jsonToPlist(command);
  if (!dict.ok || !isDict(dict.value)) {
    const { reason, path } = dict.ok ? { reason: 'not a dictionary', path: '' } : dict.refusal;
    return invalid('/command', `a property list (${reason}${path === '' ? '' : ` at ${path}`})`);
  }
  return ok({ requestType: command.RequestType, command: dict.value });
}

type Terms = Pick<CommandOrder, 'priority' | 'expiresAtMs' | 'push' | 'allowUnknown'>;

/** How a command is queued, whatever it says. */
function readTerms(
  { priority, expiresAt, push, allowUnknown }: Omit<OrderBody, 'command'>,
  nowMs: EpochMs,
): Outcome<Terms, RequestRefusal> {
  if (expiresAt !== undefined && !isNear(expiresAt, nowMs)) {
    return invalid('/expiresAt', `a time after now and at most ${EXPIRY_DAYS_MAX} days away`);
  }
  return ok({ priority: priority ?? null, expiresAtMs: expiresAt ?? null, push, allowUnknown });
}

type Delivery = Omit<CommandOrder, 'requestType' | 'command' | 'requeuedFrom'>;

async function readDelivery(
  c: AdminContext,
  udid: Udid,
  body: Omit<v.InferOutput<typeof requeue>, 'again'>,
  newUuid: () => string,
): Promise<Outcome<Delivery, RequestRefusal>> {
  const terms = readTerms(body, c.get('nowMs'));
  if (!terms.ok) return terms;
  const fromKey = (key: string) => commandUuidFor(c.get('admin'), udid, key);
  const commandUuid = await chooseUuid(c, body.commandUuid, { fromKey, newUuid });
  if (!commandUuid.ok) return commandUuid;
  const confirmedSerial = body.confirm?.serial ?? null;
  return ok({ ...terms.value, udid, commandUuid: commandUuid.value, confirmedSerial });
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
