/** Stored profiles, their versions, and where they are, as JSON. */
import type { ProfileOnDevice, ProfileOrdered, ProfileRemoved } from '../../domain/admin/profile-services.ts';
import type { ProfileRecord, ProfileVersion } from '../../domain/admin/upload-services.ts';
import type { DeviceProfile } from '../../domain/profile/device-profile-ports.ts';
import type { EpochMs } from '../../std/time.ts';
import { timestamp } from './views.ts';

export function profileView({ updatedAtMs, ...profile }: ProfileRecord) {
  return { ...profile, updatedAt: timestamp(updatedAtMs) };
}

export function profileVersionView({ storedAtMs, ...version }: ProfileVersion) {
  return { ...version, storedAt: timestamp(storedAtMs) };
}

/** A row of the record, as the profile's and the order's answers have it. */
export function deviceProfileView(record: DeviceProfile) {
  const { enrollmentId, orderedAtMs, changedAtMs, installedAtMs, action, ...told } = record;
  return {
    ...told,
    orderedAt: timestamp(orderedAtMs),
    changedAt: timestamp(changedAtMs),
    installedAt: optional(installedAtMs),
  };
}

export function profileOnDeviceView(item: ProfileOnDevice) {
  const { orderedAtMs, changedAtMs, installedAtMs, ...told } = item;
  return {
    ...told,
    orderedAt: optional(orderedAtMs),
    changedAt: optional(changedAtMs),
    installedAt: optional(installedAtMs),
  };
}

export function profileOrderedView({ profile, ordered, causes, warnings, passedOver }: ProfileOrdered) {
  const more = {
    ...(causes.length === 0 ? {} : { causes }),
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(passedOver.length === 0 ? {} : { passedOver }),
  };
  return { ...deviceProfileView(profile), ordered, ...more };
}

/** One that the device was never ordered has no record to tell of. */
export function profileRemovedView({ profile, ordered }: ProfileRemoved) {
  return profile === null ? { state: 'removed', ordered } : { ...deviceProfileView(profile), ordered };
}

function optional(at: EpochMs | null): string | null {
  return at === null ? null : timestamp(at);
}
