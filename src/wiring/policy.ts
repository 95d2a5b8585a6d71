/** Composition of the effective policy: everything that it reads, and nothing that it writes. */

import type { AdminServices } from '../domain/admin/services.ts';
import type { CommandContents } from '../domain/command/content.ts';
import type { LibraryStore } from '../domain/declaration/library-ports.ts';
import type { ManifestCompiler } from '../domain/declaration/manifest-compiler.ts';
import type { UploadSeal } from '../domain/declaration/upload-ports.ts';
import type { Devices } from '../domain/enrollment/device.ts';
import type { DeviceIndex } from '../domain/enrollment/directory.ts';
import { EffectivePolicies } from '../domain/policy/service.ts';
import { D1Assignments } from '../storage/d1/assignments.ts';
import type { Database } from '../storage/d1/database.ts';
import { D1Inventory } from '../storage/d1/inventory.ts';
import { D1PolicyProfiles } from '../storage/d1/policy-profiles.ts';

export interface PolicyParts {
  readonly db: Database;
  readonly devices: Devices;
  readonly index: Pick<DeviceIndex, 'find' | 'isKnown'>;
  readonly manifests: ManifestCompiler;
  readonly library: LibraryStore;
  readonly seal: UploadSeal;
  readonly contents: CommandContents;
}

export function policyServices(parts: PolicyParts): Pick<AdminServices, 'policies'> {
  const { db, devices, index, manifests, library, seal, contents } = parts;
  return {
    policies: new EffectivePolicies({
      devices,
      isKnown: (udid) => index.isKnown(udid),
      watchesOf: async (phone) => (await index.find(phone))?.watches ?? [],
      assignments: new D1Assignments(db),
      manifests,
      library,
      profiles: { store: new D1PolicyProfiles(db), seal, contents },
      inventory: new D1Inventory(db),
    }),
  };
}
