/** Properties of devices and subscriptions of platforms in D1. */
import type { Change } from '../../domain/declaration/due.ts';
import type { PropertyStore, SubscriptionStore } from '../../domain/declaration/library-ports.ts';
import { type DeviceProperties, NO_PROPERTIES } from '../../domain/declaration/properties.ts';
import type { Subscriptions } from '../../domain/declaration/subscriptions.ts';
import type { Platform, Udid } from '../../domain/ids.ts';
import type { Database } from './database.ts';
import { markDue } from './due.ts';

export interface PropertyRow {
  name: string | null;
  properties: string;
}

export function readProperties(row: PropertyRow): DeviceProperties {
  return { name: row.name, values: JSON.parse(row.properties) };
}

export class D1Properties implements PropertyStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async find(udid: Udid): Promise<DeviceProperties> {
    const row = await this.#db.first<PropertyRow>(
      'SELECT name, properties FROM device_properties WHERE udid = ?',
      udid,
    );
    return row === null ? NO_PROPERTIES : readProperties(row);
  }

  async put(udid: Udid, { name, values }: DeviceProperties, change: Change): Promise<void> {
    await this.#db.batch([
      {
        sql: `INSERT INTO device_properties (udid, name, properties, updated_at_ms) VALUES (?, ?, ?, ?)
              ON CONFLICT (udid) DO UPDATE SET name = excluded.name, properties = excluded.properties,
                updated_at_ms = excluded.updated_at_ms`,
        bound: [udid, name, JSON.stringify(values), change.atMs],
      },
      markDue(change, 'SELECT ? AS udid', udid),
    ]);
  }
}

export class D1Subscriptions implements SubscriptionStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async find(): Promise<Subscriptions> {
    const rows = await this.#db.all<{ platform: Platform; items: string }>(
      'SELECT platform, items FROM subscriptions',
    );
    return new Map(rows.map((row) => [row.platform, JSON.parse(row.items) as string[]]));
  }

  async put(platform: Platform, items: readonly string[], change: Change): Promise<void> {
    await this.#db.batch([
      {
        sql: `INSERT INTO subscriptions (platform, items, updated_at_ms) VALUES (?, ?, ?)
              ON CONFLICT (platform) DO UPDATE SET items = excluded.items, updated_at_ms = excluded.updated_at_ms`,
        bound: [platform, JSON.stringify(items), change.atMs],
      },
      markPlatform(platform, change),
    ]);
  }

  async remove(platform: Platform, change: Change): Promise<void> {
    await this.#db.batch([
      { sql: 'DELETE FROM subscriptions WHERE platform = ?', bound: [platform] },
      markPlatform(platform, change),
    ]);
  }
}

function markPlatform(platform: Platform, change: Change) {
  return markDue(change, "SELECT udid FROM devices WHERE platform = ? AND state <> 'checked-out'", platform);
}
