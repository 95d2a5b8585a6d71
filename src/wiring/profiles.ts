/** Composition of what is stored for devices to download or install: assets, profiles, and profiles on devices. */

import type { CommandService } from '../domain/admin/command-services.ts';
import type { GatheredServices } from '../domain/admin/order-services.ts';
import type { ProfileServices } from '../domain/admin/profile-services.ts';
import type { DeviceDirectory } from '../domain/admin/services.ts';
import type { Declarations } from '../domain/declaration/library.ts';
import { Profiles } from '../domain/declaration/profiles.ts';
import type { UploadSeal } from '../domain/declaration/upload-ports.ts';
import { Uploads } from '../domain/declaration/uploads.ts';
import type { Devices } from '../domain/enrollment/device.ts';
import type { Udid } from '../domain/ids.ts';
import { DeviceProfiles } from '../domain/profile/device-profiles.ts';
import { InventoryProfileListings } from '../domain/profile/listings.ts';
import { ProfileOverviews } from '../domain/profile/profile-overview.ts';
import type { StorageKey } from '../domain/storage-key.ts';
import { randomUuid } from '../pki/random.ts';
import type { Bytes } from '../std/bytes.ts';
import type { Database } from '../storage/d1/database.ts';
import { D1DeviceProfiles } from '../storage/d1/device-profiles.ts';
import { D1Inventory } from '../storage/d1/inventory.ts';
import { D1Uploads } from '../storage/d1/uploads.ts';

export interface ProfileParts {
  readonly publicUrl: string;
  readonly db: Database;
  readonly devices: Devices;
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  readonly commands: CommandService;
  readonly directory: DeviceDirectory;
  readonly gathered: () => GatheredServices & {
    readonly database: Database;
    readonly isKnown: (udid: Udid) => Promise<boolean>;
  };
  readonly sign: (profile: Bytes) => Promise<Bytes>;
  readonly isEnrollmentProfile: (identifier: string) => boolean;
  readonly library: Declarations;
  readonly storageKey: StorageKey;
}

export function profileServices(parts: ProfileParts): ProfileServices & { readonly uploads: Uploads } {
  const { publicUrl, db, devices, isKnown, commands, directory, gathered, sign, library } = parts;
  const { isEnrollmentProfile } = parts;
  const store = new D1Uploads(db);
  const seal = uploadSeal(parts.storageKey);
  const delivery = { publicUrl, sign, isEnrollmentProfile };
  const uploads = new Uploads({ ...delivery, store, library, seal, newUuid: randomUuid });
  const records = new D1DeviceProfiles(db);
  const devicesWith = (identifier: string) => records.devicesWith(identifier);
  const profiles = new Profiles({ uploads, store, seal, isEnrollmentProfile, devicesWith });
  const common = { store: records, profiles, devices, isKnown, isEnrollmentProfile };
  const orders = { ...common, commands, directory, sign, newUuid: randomUuid };
  const listings = new InventoryProfileListings(new D1Inventory(db));
  return {
    uploads,
    assets: uploads.assets,
    profiles,
    deviceProfiles: new DeviceProfiles(orders),
    gatheredProfiles() {
      const { database, isKnown: known, ...services } = gathered();
      const over = { store: new D1DeviceProfiles(database), isKnown: known };
      return new DeviceProfiles({
        ...orders,
        ...over,
        commands: services.commands,
        directory: services.devices,
      });
    },
    profileOverviews: new ProfileOverviews({ ...common, uploads: store, listings }),
  };
}

/** Sealed under the identifier: moved to another, it does not open. */
export function uploadSeal(key: StorageKey): UploadSeal {
  const context = (identifier: string) => `upload/${identifier}`;
  return {
    seal: (identifier, data) => key.seal(data, context(identifier)),
    open: (identifier, sealed) => key.open(sealed, context(identifier)),
    fingerprint: (identifier, data) => key.fingerprint(data, context(identifier)),
  };
}
