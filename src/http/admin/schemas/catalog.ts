/** Queries of `/catalog/{kind}`. */
import * as v from 'valibot';
import { platform } from './values.ts';

export const catalogQuery = v.strictObject({ platform: v.optional(platform) });
