/** Bodies and queries of `/profiles` and of profiles on devices. */
import * as v from 'valibot';
import { TARGETS_MAX } from '../../../domain/admin/order-many.ts';
import { dateTime, PAGE_LIMIT, page, serialNumber, udid } from './values.ts';

const flag = (text: 'true' | 'false') => v.optional(v.picklist(['true', 'false'], 'true or false'), text);

export const restoreQuery = v.strictObject({ unpairsWatches: flag('false') });
export const profileQuery = v.strictObject({
  ...restoreQuery.entries,
  allowUnknown: flag('false'),
  sign: flag('true'),
});
export const removalQuery = v.strictObject({ force: flag('false') });
export const dispatchQuery = v.strictObject({ push: flag('true') });

const VERSION = 'a version: an integer from 1';
const version = v.pipe(v.number(), v.integer(VERSION), v.minValue(1, VERSION));

const dispatch = {
  push: v.optional(v.boolean(), true),
  expiresAt: v.optional(dateTime),
};
const install = { version: v.optional(version), again: v.optional(v.boolean(), false) };

export const newInstall = v.strictObject({
  ...install,
  ...dispatch,
  confirm: v.optional(v.strictObject({ serial: serialNumber })),
});

const targetsExpected = `1 to ${TARGETS_MAX} UDIDs`;
const limitExpected = `an integer from 1 to ${TARGETS_MAX}`;
const targets = {
  devices: v.optional(
    v.pipe(v.array(udid), v.minLength(1, targetsExpected), v.maxLength(TARGETS_MAX, targetsExpected)),
  ),
  group: v.optional(v.string()),
  /** Of a group, or of the devices that have the profile. */
  cursor: v.optional(v.string()),
  limit: v.optional(
    v.pipe(
      v.number(),
      v.integer(limitExpected),
      v.minValue(1, limitExpected),
      v.maxValue(TARGETS_MAX, limitExpected),
    ),
    PAGE_LIMIT,
  ),
};
const chosen = (one: readonly unknown[]) => one.filter((member) => member !== undefined).length === 1;

export const newInstalls = v.pipe(
  v.strictObject({
    ...install,
    ...dispatch,
    ...targets,
    outdated: v.optional(v.literal(true)),
    confirm: v.optional(v.strictObject({ serials: v.record(udid, serialNumber) })),
  }),
  v.check(
    ({ devices, group, outdated }) => chosen([devices, group, outdated]),
    'either devices, a group, or outdated',
  ),
);

export const newRemovals = v.pipe(
  v.strictObject({ ...dispatch, ...targets, installed: v.optional(v.literal(true)) }),
  v.check(
    ({ devices, group, installed }) => chosen([devices, group, installed]),
    'either devices, a group, or installed',
  ),
);

export const deploymentQuery = v.strictObject({
  ...page,
  filter: v.optional(v.picklist(['all', 'installed', 'outdated']), 'all'),
});
