/** Queries of `/events`. */
import * as v from 'valibot';
import { EVENT_KINDS } from '../../../domain/event/event.ts';
import { page, udid } from './values.ts';

export const eventQuery = v.strictObject({
  limit: page.limit,
  after: page.cursor,
  device: v.optional(udid),
  kind: v.optional(v.picklist(EVENT_KINDS)),
});
