/**
 * A device's status as it is kept and shown, and what of it the enrollment takes over. `status-merge.ts` says what a
 * report changes.
 */
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { StatusReport } from '../../protocol/ddm/status-report.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DeviceStatus, UnknownDevice } from '../admin/services.ts';
import type { Devices } from '../enrollment/device.ts';
import { factText, withFacts } from '../enrollment/facts.ts';
import type { Enrollment } from '../enrollment/state.ts';
import type { Udid } from '../ids.ts';
import type { StatusChange, StatusItem } from './status-merge.ts';
import { isSecretStatusItem, MASK, maskReport, maskSecrets } from './status-secrets.ts';

/** Enough to see how the present state came about. */
export const REPORTS_KEPT = 10;
/** A first report of a phone has some 15 KiB; of a larger one only the size is kept. */
export const REPORT_KEPT_BYTES_MAX = 64 * 1024;

export interface KeptReport {
  readonly atMs: EpochMs;
  readonly full: boolean;
  readonly bytes: number;
  /** Its JSON with secrets masked; null when it was too large to be kept. */
  readonly raw: Bytes | null;
}

/** As texts, which cross to the device's object unchanged whatever their keys; secrets are masked. */
export function statusChange(report: StatusReport, values: ReadonlyMap<string, JsonValue>): StatusChange {
  return {
    full: report.fullReport,
    values: new Map([...values].map(([name, value]) => [name, canonicalJson(maskSecrets(value, name))])),
    errors: new Map(
      report.errors.map(({ statusItem, reasons }) => [
        statusItem,
        canonicalJson(maskSecrets(reasons.map((reason) => ({ ...reason })))),
      ]),
    ),
  };
}

/** What the device says of itself outranks what it said at Authenticate; the same enrollment if nothing differs. */
export function withReportedFacts(enrollment: Enrollment, values: StatusChange['values']): Enrollment {
  return withFacts(enrollment, {
    productName: factOf(values, 'device.model.identifier'),
    osVersion: factOf(values, 'device.operating-system.version'),
    buildVersion: factOf(values, 'device.operating-system.build-version'),
    supervised: null,
  });
}

function factOf(values: StatusChange['values'], name: string): string | null {
  return factText(JSON.parse(values.get(name) ?? 'null'));
}

/** For administrators: the device's own object answers, so nothing is behind. */
export class DeviceStatusReader implements DeviceStatus {
  readonly #devices: Devices;
  readonly #isKnown: (udid: Udid) => Promise<boolean>;

  constructor(devices: Devices, isKnown: (udid: Udid) => Promise<boolean>) {
    this.#devices = devices;
    this.#isKnown = isKnown;
  }

  async items(udid: Udid): Promise<Outcome<readonly StatusItem[], UnknownDevice>> {
    const items = (await this.#isKnown(udid)) ? await this.#devices.of(udid).statusItems() : null;
    return items === null ? refuse({ kind: 'unknown-device', udid }) : ok(items.map(masked));
  }

  async reports(udid: Udid): Promise<Outcome<readonly KeptReport[], UnknownDevice>> {
    const reports = (await this.#isKnown(udid)) ? await this.#devices.of(udid).statusReports() : null;
    if (reports === null) return refuse({ kind: 'unknown-device', udid });
    return ok(reports.map((report) => ({ ...report, raw: report.raw && maskReport(report.raw) })));
  }
}

/** The object may have kept it before secrets were masked on their way in. */
function masked(item: StatusItem): StatusItem {
  if (item.value === null || !isSecretStatusItem(item.name)) return item;
  return { ...item, value: canonicalJson(MASK) };
}
