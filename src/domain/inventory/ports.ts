/** What the inventory needs from the fleet's records. */
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { InventorySection } from './section.ts';

export interface InventoryItem {
  readonly key: string;
  readonly value: JsonValue;
  readonly atMs: EpochMs;
}

export interface InventoryRecord {
  readonly section: InventorySection;
  /** Of the last answer that is in it. */
  readonly answeredAtMs: EpochMs;
  readonly commandUuid: CommandUuid;
  /** When all of it was answered at once, the last time; null when that never happened. */
  readonly completeAtMs: EpochMs | null;
  /** By key. */
  readonly items: readonly InventoryItem[];
  /** A later answer that is not in it, because it is too large: the command's result has it. */
  readonly tooLarge: { readonly commandUuid: CommandUuid; readonly atMs: EpochMs } | null;
}

/** Written where a result leaves the queue, in the same transaction; read here. */
export interface InventoryStore {
  /** Of the present enrollment, or of the last; in a fixed order. */
  sections(udid: Udid): Promise<readonly InventoryRecord[]>;
  section(udid: Udid, section: InventorySection): Promise<InventoryRecord | null>;
  /** Whether such a query, asking for as much, waits for this enrollment or is with the device. */
  asked(udid: Udid, enrollmentId: string): Promise<readonly AskedQuery[]>;
}

export interface AskedQuery {
  readonly commandUuid: CommandUuid;
  readonly requestType: string;
  readonly scope: string;
}
