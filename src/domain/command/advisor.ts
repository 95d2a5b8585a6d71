/** Which commands a device takes now, for whoever is about to choose one. */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { CommandAdvisor } from '../admin/order-services.ts';
import type { UnknownDevice } from '../admin/services.ts';
import type { Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { CommandAdmission, CommandAvailability } from './admission.ts';

export class AvailableCommands implements CommandAdvisor {
  readonly #options: {
    readonly devices: Devices;
    readonly isKnown: (udid: Udid) => Promise<boolean>;
    readonly admission: CommandAdmission;
  };

  constructor(options: {
    readonly devices: Devices;
    readonly isKnown: (udid: Udid) => Promise<boolean>;
    readonly admission: CommandAdmission;
  }) {
    this.#options = options;
  }

  async available(udid: Udid): Promise<Outcome<readonly CommandAvailability[], UnknownDevice>> {
    const { devices, isKnown, admission } = this.#options;
    const device = (await isKnown(udid)) ? await devices.of(udid).describe() : null;
    if (device === null) return refuse({ kind: 'unknown-device', udid });
    return ok(await admission.available(device));
  }
}
