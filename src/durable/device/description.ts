/** One device as administrators, and decisions about other devices, see it: nothing secret, and nothing behind. */
import type { DeviceDescription } from '../../domain/enrollment/device.ts';
import type { EpochMs } from '../../std/time.ts';
import type { ManifestStore } from './manifest-store.ts';
import type { DeviceStore } from './store.ts';

/** Null when nothing ever Authenticated. */
export function describeDevice(
  store: DeviceStore,
  manifest: ManifestStore,
  lastSeenMs: EpochMs,
): DeviceDescription | null {
  const { enrollment, progress } = store;
  if (enrollment === null) return null;
  const { pushToken, unlockToken, bootstrapToken, pushMagic, ...open } = enrollment;
  const declarations = manifest.describe();
  // One that has yet to enroll is told when it has.
  const awaitsEnrollment = enrollment.state === 'authenticated' && declarations.length > 0;
  return {
    ...open,
    hasUnlockToken: unlockToken !== null,
    lastSeenMs,
    capabilities: progress.capabilities,
    declarations,
    declarationsToken: progress.declarationsToken,
    manifestChangedAtMs: progress.manifestAtMs,
    declarePending: store.declare !== null || awaitsEnrollment,
    outstanding: store.outstanding?.commandUuid ?? null,
  };
}
