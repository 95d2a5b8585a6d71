/** Bodies of `/profiles` in JSON: the envelope. What is in `keys` is the payload type's own, and the catalog's to judge. */
import * as v from 'valibot';
import { PAYLOADS_MAX } from '../../../domain/profile/draft.ts';
import type { JsonObject } from '../../../protocol/plist/json.ts';
import { dateTime, platform } from './values.ts';

/** What a settings screen shows of a profile. */
const WORDS_CHARS_MAX = 1024;
const TYPE_CHARS_MAX = 255;

const words = v.pipe(
  v.string(),
  v.minLength(1, `1 to ${WORDS_CHARS_MAX} characters`),
  v.maxLength(WORDS_CHARS_MAX, `1 to ${WORDS_CHARS_MAX} characters`),
);
const keys = v.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object',
);

const payload = v.strictObject({
  type: v.pipe(v.string(), v.regex(new RegExp(`^[\\w.-]{1,${TYPE_CHARS_MAX}}$`), 'a payload type')),
  name: v.string(),
  displayName: v.optional(words),
  description: v.optional(words),
  keys,
});

export const newProfile = v.strictObject({
  displayName: words,
  description: v.optional(words),
  organization: v.optional(words),
  platform: v.optional(platform),
  removalDate: v.optional(dateTime),
  removalDisallowed: v.optional(v.boolean()),
  payloads: v.pipe(
    v.array(payload),
    v.minLength(1, `1 to ${PAYLOADS_MAX} payloads`),
    v.maxLength(PAYLOADS_MAX, `1 to ${PAYLOADS_MAX} payloads`),
  ),
});

export const profileToBuild = v.strictObject({ identifier: v.string(), ...newProfile.entries });
