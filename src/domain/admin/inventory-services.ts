/** What the admin API needs of the inventory: what devices last answered about themselves, and asking them again. */
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { InventoryRecord } from '../inventory/ports.ts';
import type { RefreshedSection } from '../inventory/refresh.ts';
import type { InventorySection } from '../inventory/section.ts';
import type { DeviceState, UnknownDevice } from './services.ts';

export interface AskedAgain {
  readonly section: RefreshedSection;
  readonly requestType: string;
  readonly commandUuid: CommandUuid;
}

export interface Refreshed {
  readonly queued: readonly AskedAgain[];
  /** The same query waits already, or is with the device; whoever queued it. */
  readonly pending: readonly AskedAgain[];
  /** Asked by a refresh within the last minute, and ended since. */
  readonly recent: readonly AskedAgain[];
  /** The queue did not take it: the kind of its refusal. */
  readonly refused: readonly { readonly section: RefreshedSection; readonly reason: string }[];
}

export type RefreshRefusal =
  | UnknownDevice
  | { readonly kind: 'device-not-enrolled'; readonly state: DeviceState };

export interface InventoryService {
  /** Only what was ever answered in the present enrollment, or in the last. */
  sections(udid: Udid): Promise<Outcome<readonly InventoryRecord[], UnknownDevice>>;
  /** Null when it was never answered. */
  section(udid: Udid, section: InventorySection): Promise<Outcome<InventoryRecord | null, UnknownDevice>>;
  /** Queues what is not asked already, and wakes the device once. */
  refresh(
    udid: Udid,
    sections: readonly RefreshedSection[],
    nowMs: EpochMs,
  ): Promise<Outcome<Refreshed, RefreshRefusal>>;
}
