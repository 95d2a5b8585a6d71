/**
 * Building for the admin API: what is built is read once more as an upload is, so that a description yields nothing
 * that could not be uploaded, and a profile that would manage the device is refused here too.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { ProfileBuilder, ProfileBuildRefusal } from '../admin/profile-build-services.ts';
import { parseOwnIdentifier } from '../declaration/draft.ts';
import { readProfile } from '../declaration/profile-content.ts';
import { buildProfile } from './build.ts';
import type { BuiltProfile, ProfileDraft } from './draft.ts';
import type { Fingerprint, Sha256Hex } from './uuid.ts';

export interface ProfileBuildOptions {
  readonly sha256Hex: Sha256Hex;
  readonly fingerprint: Fingerprint;
  readonly isEnrollmentProfile: (identifier: string) => boolean;
}

const MANAGEMENT = 'com.apple.mdm';

export class ProfileBuilds implements ProfileBuilder {
  readonly #options: ProfileBuildOptions;

  constructor(options: ProfileBuildOptions) {
    this.#options = options;
  }

  async build(
    name: string,
    draft: ProfileDraft,
    allowUnknown: boolean,
    nowMs: EpochMs,
  ): Promise<Outcome<BuiltProfile, ProfileBuildRefusal>> {
    const { isEnrollmentProfile, ...digests } = this.#options;
    const identifier = parseOwnIdentifier(name);
    if (!identifier.ok) return identifier;
    if (draft.payloads.some(({ type }) => type === MANAGEMENT)) return refuse({ kind: 'enrollment-profile' });
    const built = await buildProfile(draft, {
      identifier: identifier.value,
      allowUnknown,
      nowMs,
      ...digests,
    });
    if (!built.ok) return built;
    const read = await readProfile(built.value.profile, { allowUnknown, isEnrollmentProfile });
    return read.ok ? ok(built.value) : read;
  }
}
