/** Bodies and headers of `/devices/{udid}/commands` and of `/commands`. */
import * as v from 'valibot';
import { TARGETS_MAX } from '../../../domain/admin/order-many.ts';
import { commandUuid, dateTime, PAGE_LIMIT, page, serialNumber, udid } from './values.ts';

const requestType = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/, "a command's name: 1 to 64 letters and digits"),
);

/** How a command is queued, whatever it says, and whoever it is for. */
const terms = {
  commandUuid: v.optional(commandUuid),
  priority: v.optional(v.picklist(['urgent', 'normal'])),
  expiresAt: v.optional(dateTime),
  push: v.optional(v.boolean(), true),
  allowUnknown: v.optional(v.boolean(), false),
};

/** The `Command` dictionary; its other keys belong to the command, and the catalog judges them. */
const command = v.looseObject({ RequestType: requestType });

const delivery = { ...terms, confirm: v.optional(v.strictObject({ serial: serialNumber })) };

export const newCommand = v.strictObject({ command, ...delivery });

/** A command that ended, once more; `again` also if the device acknowledged it. */
export const requeue = v.strictObject({ ...delivery, again: v.optional(v.boolean(), false) });

export const commandQuery = v.strictObject({
  ...page,
  state: v.optional(
    v.picklist(['pending', 'delivered', 'not-now', 'acknowledged', 'error', 'expired', 'canceled']),
  ),
  requestType: v.optional(requestType),
});

const targets = `1 to ${TARGETS_MAX} UDIDs`;
const limit = `an integer from 1 to ${TARGETS_MAX}`;

export const newCommands = v.pipe(
  v.strictObject({
    command,
    ...terms,
    devices: v.optional(v.pipe(v.array(udid), v.minLength(1, targets), v.maxLength(TARGETS_MAX, targets))),
    group: v.optional(v.string()),
    /** Of the group. */
    cursor: v.optional(v.string()),
    limit: v.optional(
      v.pipe(v.number(), v.integer(limit), v.minValue(1, limit), v.maxValue(TARGETS_MAX, limit)),
      PAGE_LIMIT,
    ),
    confirm: v.optional(v.strictObject({ serials: v.record(udid, serialNumber) })),
  }),
  v.check(
    ({ devices, group }) => (devices === undefined) !== (group === undefined),
    'either devices or a group',
  ),
);

/** What a command is, whoever it is for. */
export type OrderBody = Pick<v.InferOutput<typeof newCommand>, 'command' | keyof typeof terms>;
export type ManyBody = v.InferOutput<typeof newCommands>;

/** Longer than any UUID or digest that tools send here. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** A command that waits longer than a year waits for a device that is gone. */
export const EXPIRY_DAYS_MAX = 366;
