/** Bodies of `/expected-devices`. */
import * as v from 'valibot';
import { serialNumber } from './values.ts';

/** The design's limit for one call that names devices. */
const SERIALS_MAX = 500;
const countExpected = `1 to ${SERIALS_MAX} serial numbers`;

export const newExpectedDevices = v.strictObject({
  serials: v.pipe(
    v.array(serialNumber),
    v.minLength(1, countExpected),
    v.maxLength(SERIALS_MAX, countExpected),
  ),
  platform: v.literal('iOS'),
});
