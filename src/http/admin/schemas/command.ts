/** Bodies and headers of `/devices/{udid}/commands`. */
import * as v from 'valibot';
import { commandUuid, dateTime, serialNumber } from './values.ts';

const requestType = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/, "a command's name: 1 to 64 letters and digits"),
);

export const newCommand = v.strictObject({
  /** The `Command` dictionary; its other keys belong to the command, and the catalog judges them. */
  command: v.looseObject({ RequestType: requestType }),
  commandUuid: v.optional(commandUuid),
  priority: v.optional(v.picklist(['urgent', 'normal'])),
  expiresAt: v.optional(dateTime),
  push: v.optional(v.boolean(), true),
  allowUnknown: v.optional(v.boolean(), false),
  confirm: v.optional(v.strictObject({ serial: serialNumber })),
});

/** Longer than any UUID or digest that tools send here. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** A command that waits longer than a year waits for a device that is gone. */
export const EXPIRY_DAYS_MAX = 366;
