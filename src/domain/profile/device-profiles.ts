/**
 * Stored profiles on devices, by command. An order is recorded first, under the UUID that its command will have, and
 * then queued: whoever repeats it after any failure finds the record and queues the same command, which is nothing when
 * it was queued before. One order at most is under way for a profile on a device: with NotNow a device may take a later
 * command before an earlier one, so an order is canceled before the next is made, and one that the device holds is
 * waited for.
 */
import { encodePlist } from '../../protocol/plist/encode.ts';
import { type JsonObject, plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
