/** Paths and queries of the inventory. */
import * as v from 'valibot';
import { REFRESHED_SECTIONS } from '../../../domain/inventory/refresh.ts';
import { INVENTORY_SECTIONS } from '../../../domain/inventory/section.ts';

export const inventorySection = v.picklist(INVENTORY_SECTIONS);

/** One section, or all that can be asked for. */
export const refreshQuery = v.strictObject({ section: v.optional(v.picklist(REFRESHED_SECTIONS)) });
