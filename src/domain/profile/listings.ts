/** The profiles that a device listed itself, out of its inventory. */
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { Udid } from '../ids.ts';
import type { InventoryStore } from '../inventory/ports.ts';
import type { ListedProfile, ProfileListing, ProfileListings } from './device-profile-ports.ts';

export class InventoryProfileListings implements ProfileListings {
  readonly #inventory: Pick<InventoryStore, 'section'>;

  constructor(inventory: Pick<InventoryStore, 'section'>) {
    this.#inventory = inventory;
  }

  /** The last complete one: a listing of some profiles says nothing of the others. */
  async last(udid: Udid): Promise<ProfileListing | null> {
    const section = await this.#inventory.section(udid, 'profiles');
    if (section === null || section.completeAtMs === null) return null;
    const profiles = section.items.map((item) => listedProfile(item.key, item.value));
    return { answeredAtMs: section.completeAtMs, profiles };
  }
}

function listedProfile(payloadIdentifier: string, value: JsonValue): ListedProfile {
  const item: JsonObject = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  const { PayloadUUID: uuid, PayloadDisplayName: name, IsManaged: managed } = item;
  return {
    payloadIdentifier,
    payloadUuid: typeof uuid === 'string' ? uuid : null,
    displayName: typeof name === 'string' ? name : null,
    managed: typeof managed === 'boolean' ? managed : null,
  };
}
