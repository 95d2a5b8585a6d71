/** Bodies of `/enrollment-links`. */
import * as v from 'valibot';
import { platform, serialNumber, udid } from './values.ts';

/** A minute is the least in which a person can use a link; a week the most that one should lie about. */
const TTL_SECONDS_MIN = 60;
const TTL_SECONDS_MAX = 7 * 86_400;
const TTL_SECONDS = 86_400;
const ttlExpected = `an integer from ${TTL_SECONDS_MIN} to ${TTL_SECONDS_MAX}`;

export const newEnrollmentLink = v.strictObject({
  udid,
  serial: serialNumber,
  platform: v.optional(platform, 'iOS'),
  signed: v.optional(v.boolean(), true),
  ttlSeconds: v.optional(
    v.pipe(
      v.number(),
      v.integer(ttlExpected),
      v.minValue(TTL_SECONDS_MIN, ttlExpected),
      v.maxValue(TTL_SECONDS_MAX, ttlExpected),
    ),
    TTL_SECONDS,
  ),
});
