/** What the admin API needs to order commands beside the queue itself (services.ts). */
import type { Outcome } from '../../std/outcome.ts';
import type { CommandAvailability } from '../command/admission.ts';
import type { Udid } from '../ids.ts';
import type { CommandService } from './command-services.ts';
import type { DeviceDirectory, UnknownDevice } from './services.ts';

/** Says beforehand what would be refused, by type alone. */
export interface CommandAdvisor {
  /** Every command that the catalog knows, by name, as the device is now. */
  available(udid: Udid): Promise<Outcome<readonly CommandAvailability[], UnknownDevice>>;
}

/** Of which many calls at once cost less. One set serves one request, and no other after it. */
export interface GatheredServices {
  readonly commands: CommandService;
  readonly devices: DeviceDirectory;
}
