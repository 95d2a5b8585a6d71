/** Queries of `/pairings`. */
import * as v from 'valibot';
import { page, udid } from './values.ts';

export const pairingQuery = v.strictObject({ ...page, watch: v.optional(udid) });

/** The form of a pairing's identifier: a name in a path, and no more. */
export const PAIRING_ID = /^[A-Za-z0-9._-]{1,128}$/;
