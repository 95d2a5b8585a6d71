/** The index of devices for administrators. A single device is brought up to date before it is read. */

import type { Outcome } from '../../std/outcome.ts';
import type {
  DeviceDirectory,
  DeviceFilter,
  DeviceRecord,
  MalformedCursor,
  Page,
  PageQuery,
} from '../admin/services.ts';
import type { Udid } from '../ids.ts';
import type { EnrollmentStanding, EnrollmentStandings } from '../pairing/ports.ts';
import type { Devices } from './device.ts';

/** What the index in D1 offers. */
export interface DeviceIndex extends DeviceDirectory {
  /** Whether a certificate was ever issued for this UDID: no object is made for a guess. */
  isKnown(udid: Udid): Promise<boolean>;
  /** Watches that enroll through this iPhone, or did, and are not among its `watches`: the newest few. */
  watchesToCome(phone: Udid): Promise<readonly Udid[]>;
}

export class FreshDirectory implements DeviceDirectory, EnrollmentStandings {
  readonly #index: DeviceIndex;
  readonly #devices: Devices;

  constructor(index: DeviceIndex, devices: Devices) {
    this.#index = index;
    this.#devices = devices;
  }

  list(filter: DeviceFilter, page: PageQuery): Promise<Outcome<Page<DeviceRecord>, MalformedCursor>> {
    return this.#index.list(filter, page);
  }

  async find(udid: Udid): Promise<DeviceRecord | null> {
    if (!(await this.#index.isKnown(udid))) return null;
    await this.#devices.of(udid).flush();
    const record = await this.#index.find(udid);
    if (record?.platform === 'iOS') return this.#withWatches(record);
    if (record === null || record.phone === null) return record;
    // What became of its iPhone is that object's to tell.
    await this.#devices.of(record.phone).flush();
    return this.#heard(await this.#index.find(udid));
  }

  /** A watch that has just enrolled is its own object's to tell: what ends the iPhone ends it too. */
  async #withWatches(phone: DeviceRecord): Promise<DeviceRecord | null> {
    const watches = await this.#index.watchesToCome(phone.udid);
    if (watches.length === 0) return phone;
    await Promise.all(watches.map((watch) => this.#devices.of(watch).flush()));
    return this.#index.find(phone.udid);
  }

  /** When a device spoke last, the index knows by the quarter of an hour; whether it did since its iPhone left, counts. */
  async #heard(record: DeviceRecord | null): Promise<DeviceRecord | null> {
    const gone = record?.presumedGone ?? null;
    if (record === null || gone === null || gone.device === record.udid) return record;
    const lastSeenAtMs = (await this.#devices.of(record.udid).describe())?.lastSeenMs ?? record.lastSeenAtMs;
    return lastSeenAtMs > gone.atMs ? { ...record, lastSeenAtMs, presumedGone: null } : record;
  }

  /** What enrollment a UDID has, as its own object says. */
  async standing(udid: Udid): Promise<EnrollmentStanding> {
    const device = (await this.#index.isKnown(udid)) ? await this.#devices.of(udid).describe() : null;
    if (device === null) return { kind: 'unknown' };
    const { serial, startedAtMs } = device;
    return device.state === 'checked-out' ? { kind: 'ended', serial } : { kind: 'live', serial, startedAtMs };
  }
}
