/** Bodies of `/watch-enrollment/devices/{udid}`. */
import * as v from 'valibot';
import { ANCHOR_CHARS_MAX, ANCHORS_MAX } from '../../../domain/admin/anchors.ts';

export const watchAssignment = v.strictObject({
  anchors: v.pipe(
    v.array(
      v.pipe(
        v.string(),
        v.maxLength(ANCHOR_CHARS_MAX, `a certificate in PEM, at most ${ANCHOR_CHARS_MAX} characters`),
      ),
    ),
    v.maxLength(ANCHORS_MAX, `at most ${ANCHORS_MAX} certificates`),
  ),
});
