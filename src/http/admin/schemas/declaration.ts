/** Bodies, queries and headers of `/declarations` and `/sets`. */
import * as v from 'valibot';
import { DECLARATIONS_PER_SET_MAX } from '../../../domain/declaration/sets.ts';
import { DECLARATION_KINDS } from '../../../protocol/ddm/endpoint.ts';
import type { JsonObject } from '../../../protocol/plist/json.ts';
import { page } from './values.ts';

/** Apple's names for all four families, with room for more. */
const type = v.pipe(
  v.string(),
  v.regex(
    /^com\.apple\.(?:activation|asset|configuration|management)\.[A-Za-z0-9._-]{1,200}$/,
    'a type of an activation, asset, configuration or management',
  ),
);

/** Kept as it was parsed: the catalog judges its members, and every key is the declaration's own. */
const payload = v.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object',
);

export const newDeclaration = v.strictObject({
  type,
  payload,
  allowUnknown: v.optional(v.boolean(), false),
});

export const declarationQuery = v.strictObject({
  ...page,
  kind: v.optional(v.picklist(DECLARATION_KINDS)),
  type: v.optional(type),
});

export const newSet = v.strictObject({
  declarations: v.pipe(
    v.array(v.string()),
    v.maxLength(DECLARATIONS_PER_SET_MAX, `at most ${DECLARATIONS_PER_SET_MAX} identifiers`),
  ),
});

/** Of the group, in percent of all shards. */
export const setGroup = v.strictObject({
  percent: v.optional(
    v.pipe(
      v.number('an integer from 0 to 100'),
      v.integer('an integer from 0 to 100'),
      v.minValue(0),
      v.maxValue(100),
    ),
    100,
  ),
});
