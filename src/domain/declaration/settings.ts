/** Properties of devices and status subscriptions of platforms: stored, and brought to the devices as declarations. */
import { loadCatalog } from '../../protocol/catalog/catalog.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  Changed,
  DeviceSettings,
  SubscriptionRecord,
  SubscriptionRefusal,
} from '../admin/declaration-services.ts';
import type { UnknownDevice } from '../admin/services.ts';
import type { Platform, Udid } from '../ids.ts';
import type { Change, DueManifests } from './due.ts';
import type { PropertyStore, SubscriptionStore } from './library-ports.ts';
import type { DeviceProperties } from './properties.ts';
import { DEFAULT_SUBSCRIPTIONS } from './subscriptions.ts';

export class Settings implements DeviceSettings {
  readonly #options: SettingsOptions;

  constructor(options: SettingsOptions) {
    this.#options = options;
  }

  async properties(udid: Udid): Promise<Outcome<DeviceProperties, UnknownDevice>> {
    if (!(await this.#options.isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    return ok(await this.#options.properties.find(udid));
  }

  async putProperties(
    udid: Udid,
    properties: DeviceProperties,
    nowMs: EpochMs,
  ): Promise<Outcome<DeviceProperties, UnknownDevice>> {
    if (!(await this.#options.isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
    const change = this.#change(nowMs);
    await this.#options.properties.put(udid, properties, change);
    await this.#options.due.settle(change);
    return ok(properties);
  }

  async subscriptions(platform: Platform): Promise<SubscriptionRecord> {
    const own = (await this.#options.subscriptions.find()).get(platform);
    return { platform, items: own ?? DEFAULT_SUBSCRIPTIONS[platform], isDefault: own === undefined };
  }

  async putSubscriptions(
    platform: Platform,
    items: readonly string[] | null,
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<SubscriptionRecord>, SubscriptionRefusal>> {
    const { subscriptions, due } = this.#options;
    const unknown = await unknownItems(platform, items ?? []);
    if (unknown.length > 0) return refuse({ kind: 'unknown-status-items', platform, items: unknown });
    const change = this.#change(nowMs);
    if (items === null) await subscriptions.remove(platform, change);
    else await subscriptions.put(platform, [...new Set(items)].sort(), change);
    return ok({ changed: await this.subscriptions(platform), waiting: await due.settle(change) });
  }

  #change(atMs: EpochMs): Change {
    return { id: this.#options.newUuid(), atMs };
  }
}

export interface SettingsOptions {
  readonly properties: PropertyStore;
  readonly subscriptions: SubscriptionStore;
  readonly due: DueManifests;
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  readonly newUuid: () => string;
}

async function unknownItems(platform: Platform, items: readonly string[]): Promise<readonly string[]> {
  const catalog = await loadCatalog('status');
  return items.filter((name) => (catalog.find(name)?.platforms[platform] ?? null) === null);
}
