/** What the admin API needs to build configuration profiles from their description. */
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { IdentifierRefusal } from '../declaration/draft.ts';
import type { ProfileRefusal } from '../declaration/profile-content.ts';
import type { BuiltProfile, InvalidProfile, ProfileDraft } from '../profile/draft.ts';

export type ProfileBuildRefusal = InvalidProfile | IdentifierRefusal | ProfileRefusal;

export interface ProfileBuilder {
  /** Stores nothing. The same description under the same identifier is the same bytes. */
  build(
    identifier: string,
    draft: ProfileDraft,
    allowUnknown: boolean,
    nowMs: EpochMs,
  ): Promise<Outcome<BuiltProfile, ProfileBuildRefusal>>;
}
