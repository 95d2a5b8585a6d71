/** Queries of `/devices`. */
import * as v from 'valibot';
import { page, platform, serialNumber } from './values.ts';

export const deviceQuery = v.strictObject({
  ...page,
  platform: v.optional(platform),
  state: v.optional(v.picklist(['authenticated', 'enrolled', 'checked-out'])),
  serial: v.optional(serialNumber),
});
