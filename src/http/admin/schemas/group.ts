/** Bodies of `/groups`. */
import * as v from 'valibot';
import { DEVICES_PER_CALL_MAX } from '../../../domain/declaration/groups.ts';
import { udid } from './values.ts';

const devices = v.optional(
  v.pipe(v.array(udid), v.maxLength(DEVICES_PER_CALL_MAX, `at most ${DEVICES_PER_CALL_MAX} UDIDs`)),
  [],
);

export const groupChange = v.strictObject({ add: devices, remove: devices });
