/** Devices as a deployment asks them: their own objects, which answer while an outbox is being told. */
import { isJsonObject } from '../../protocol/ddm/bounded-json.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Devices } from '../enrollment/device.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { DeploymentDevices, ReportedApp } from './ports.ts';

const ITEM = 'mdm.app';

export class AppDevices implements DeploymentDevices {
  readonly #devices: Devices;

  constructor(devices: Devices) {
    this.#devices = devices;
  }

  async isEnrolled(udid: Udid, sinceMs: EpochMs): Promise<boolean> {
    const device = await this.#devices.of(udid).describe();
    if (device === null || device.state !== 'enrolled') return false;
    return device.enrolledAtMs === null || device.enrolledAtMs <= sinceMs;
  }

  async reported(udid: Udid, bundleId: string): Promise<ReportedApp | null> {
    const items = (await this.#devices.of(udid).statusItems()) ?? [];
    const item = items.find(({ name }) => name === ITEM);
    if (item === undefined || item.value === null || item.atMs === null) return null;
    const apps: JsonValue = JSON.parse(item.value);
    if (!Array.isArray(apps)) return null;
    const app = apps.find((one) => isJsonObject(one) && one['identifier'] === bundleId);
    const state = isJsonObject(app) ? app['state'] : undefined;
    return { state: typeof state === 'string' ? state : null, sinceMs: item.atMs };
  }

  async withdraw(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<void> {
    await this.#devices.of(udid).cancel(commandUuid, nowMs);
  }
}
