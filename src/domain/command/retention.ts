/**
 * How long ended commands are kept, beside the queue and never on a device's path: the scheduled sweep deletes them.
 * With a command goes what it said, its answer, and the memory of its CommandUUID: after that the same UUID is a new one.
 */

/** A quarter: what somebody still asks about. */
export const HISTORY_KEPT_DAYS = 90;
/** Of one device, the newest. At some 5 KiB an answer 50 MB, so that 200 devices that never rest fill a database of 10 GB. */
export const HISTORY_MAX = 10_000;
