/** Queries of `/devices`. */
import * as v from 'valibot';
import { FLEET_VALUE_CHARS_MAX, fleetItemNames } from '../../../domain/declaration/fleet-status.ts';
import { page, platform, serialNumber } from './values.ts';

const STATUS = 'status.';
/** Each is a look into an index; a cursor carries them all. */
export const STATUS_ASKED_MAX = 4;

const statusValue = v.optional(
  v.pipe(v.string(), v.maxLength(FLEET_VALUE_CHARS_MAX, `at most ${FLEET_VALUE_CHARS_MAX} characters`)),
);

/** `status.` and the name of a scalar item is a filter, for every such item of the catalog. */
export async function deviceQuery() {
  const names = await fleetItemNames();
  const query = v.strictObject({
    ...page,
    platform: v.optional(platform),
    state: v.optional(v.picklist(['authenticated', 'enrolled', 'checked-out'])),
    serial: v.optional(serialNumber),
    ...(Object.fromEntries(names.map((name) => [`${STATUS}${name}`, statusValue])) as StatusQuery),
  });
  return v.pipe(
    query,
    v.check(
      (asked) => Object.keys(statusAsked(asked)).length <= STATUS_ASKED_MAX,
      `at most ${STATUS_ASKED_MAX} status items`,
    ),
  );
}

type StatusQuery = Record<`status.${string}`, typeof statusValue>;

/** By item name, in a fixed order, so that one question has one cursor. */
export function statusAsked(query: object): Record<string, string> {
  const asked = Object.entries(query).filter(
    (pair): pair is [string, string] => pair[0].startsWith(STATUS) && typeof pair[1] === 'string',
  );
  return Object.fromEntries(asked.map(([key, value]) => [key.slice(STATUS.length), value]).sort());
}
