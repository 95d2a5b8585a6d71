/**
 * The request for a command, read: its JSON becomes a `Command` dictionary, and the command gets its UUID: the
 * one in the body, else the one its `Idempotency-Key` stands for, else a fresh one.
 */
import { commandUuidFor } from '../../domain/admin/idempotency.ts';
import type { CommandOrder } from '../../domain/admin/order-command.ts';
import { type CommandUuid, parseCommandUuid, type Udid } from '../../domain/ids.ts';
import { jsonToPlist } from '../../protocol/plist/json.ts';
import { isDict } from '../../protocol/plist/value.ts';
import { Fault, type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, DAY_MS, type EpochMs } from '../../std/time.ts';
import type { AdminContext } from './env.ts';
import { readJson } from './input.ts';
import type { RequestRefusal } from './refusals.ts';
import { EXPIRY_DAYS_MAX, IDEMPOTENCY_KEY, newCommand } from './schemas/command.ts';

export async function readOrder(
  c: AdminContext,
  udid: Udid,
  newUuid: () => string,
): Promise<Outcome<CommandOrder, RequestRefusal>> {
  const body = await readJson(c, newCommand);
  if (!body.ok) return body;
  const { command, priority, expiresAt, push, confirm, allowUnknown } = body.value;
  const dict = jsonToPlist(command);
  if (!dict.ok || !isDict(dict.value)) {
    const { reason, path } = dict.ok ? { reason: 'not a dictionary', path: '' } : dict.refusal;
    return invalid('/command', `a property list (${reason}${path === '' ? '' : ` at ${path}`})`);
  }
  if (expiresAt !== undefined && !isNear(expiresAt, c.get('nowMs'))) {
    return invalid('/expiresAt', `a time after now and at most ${EXPIRY_DAYS_MAX} days away`);
  }
  const commandUuid = await chooseUuid(c, udid, body.value.commandUuid, newUuid);
  if (!commandUuid.ok) return commandUuid;
  return ok({
    udid,
    commandUuid: commandUuid.value,
    requestType: command.RequestType,
    command: dict.value,
    priority: priority ?? null,
    expiresAtMs: expiresAt ?? null,
    push,
    confirmedSerial: confirm?.serial ?? null,
    allowUnknown,
  });
}

async function chooseUuid(
  c: AdminContext,
  udid: Udid,
  wished: CommandUuid | undefined,
  newUuid: () => string,
): Promise<Outcome<CommandUuid, RequestRefusal>> {
  if (wished !== undefined) return ok(wished);
  const key = c.req.header('Idempotency-Key');
  if (key === undefined) return ok(fresh(newUuid()));
  if (!IDEMPOTENCY_KEY.test(key)) {
    return invalid('Idempotency-Key', '1 to 255 printable ASCII characters without spaces');
  }
  return ok(await commandUuidFor(c.get('admin'), udid, key));
}

function fresh(uuid: string): CommandUuid {
  const parsed = parseCommandUuid(uuid);
  if (!parsed.ok) throw new Fault('fresh-uuid', 'a fresh UUID has the form of a CommandUUID');
  return parsed.value;
}

function isNear(at: EpochMs, nowMs: EpochMs): boolean {
  return at > nowMs && at <= addMs(nowMs, EXPIRY_DAYS_MAX * DAY_MS);
}

function invalid(path: string, expected: string) {
  return refuse<RequestRefusal>({ kind: 'invalid', errors: [{ path, expected }] });
}
