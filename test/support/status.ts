/** Status reports of one device, taken by the Worker's own service, and what is read of them. */
import { env } from 'cloudflare:workers';
import { DeclarativeManagementService } from '../../src/domain/declaration/ddm.ts';
import { DeviceStatusReader } from '../../src/domain/declaration/status.ts';
import { VerifiedDevice } from '../../src/domain/identity/verified-device.ts';
import type { JsonValue } from '../../src/protocol/plist/json.ts';
import { utf8 } from '../../src/std/bytes.ts';
import { addMs } from '../../src/std/time.ts';
import { D1Declarations } from '../../src/storage/d1/declarations.ts';
import { KvRendered } from '../../src/storage/kv/rendered.ts';
import { database, devices, fleet, START, type TestDevice } from './device.ts';

const service = new DeclarativeManagementService({
  devices,
  store: new D1Declarations(database),
  rendered: new KvRendered(env.RENDERED),
  // Asked only when a declaration changed under a manifest.
  manifests: { holdOne: async () => undefined, compile: async () => [] },
});
export const reader = new DeviceStatusReader(devices, fleet.isKnown);

/** The clock of these stories: `seconds` after START. */
export const at = (seconds: number) => addMs(START, seconds * 1000);

/** Sends a report as the Worker gets it, and says how it was answered. */
export async function send(device: TestDevice, report: JsonValue | string, seconds = 0): Promise<string> {
  const data = utf8(typeof report === 'string' ? report : JSON.stringify(report));
  const message = {
    type: 'DeclarativeManagement' as const,
    udid: device.udid,
    endpoint: 'status',
    data,
    raw: data,
  };
  const outcome = await service.handle(new VerifiedDevice(device.udid, device.pin), message, at(seconds));
  return outcome.ok ? outcome.value.kind : outcome.refusal.kind;
}

export const report = (StatusItems: JsonValue, more: { [key: string]: JsonValue } = {}): JsonValue => ({
  StatusItems,
  Errors: [],
  ...more,
});
