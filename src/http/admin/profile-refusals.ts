/** Why a stored profile is not changed, or not given to a device, as a problem document. */
import type { RemoveRefusal } from '../../domain/admin/declaration-services.ts';
import type { InstallRefusal } from '../../domain/admin/profile-services.ts';
import type { PutProfileRefusal, UnknownVersion } from '../../domain/admin/upload-services.ts';
import type { TooManyTargets } from '../../domain/profile/many-profiles.ts';
import type { Problem } from './problem.ts';

type Kinds =
  | 'unpairs-watches'
  | 'profile-installed'
  | 'payload-identifier-fixed'
  | 'payload-identifier-taken'
  | 'payload-identifier-changed'
  | 'profile-unfit'
  | 'profile-declared'
  | 'profile-order-under-way';

export type ProfileOrderRefusal =
  | Extract<RemoveRefusal | PutProfileRefusal | InstallRefusal, { readonly kind: Kinds }>
  | UnknownVersion
  | TooManyTargets;

const CONFLICT = 409;
const UNPROCESSABLE = 422;

export function profileProblem(refusal: ProfileOrderRefusal): Problem {
  const { kind } = refusal;
  switch (kind) {
    case 'unknown-version': {
      const detail = `No version ${refusal.version} of ${refusal.identifier} is kept.`;
      return { kind, status: 404, title: 'Unknown version', detail };
    }
    case 'unpairs-watches': {
      const detail =
        'An iPhone that a set gives it to unpairs and erases its watch, and nobody is asked again. ' +
        'Repeat with unpairsWatches=true to store it.';
      return { kind, status: UNPROCESSABLE, title: 'The profile forbids paired watches', detail };
    }
    case 'profile-installed': {
      const detail = 'Remove it from them first, or repeat with force=true: then it stays on them.';
      const { devices } = refusal;
      return { kind, status: CONFLICT, title: 'Devices have the profile', detail, members: { devices } };
    }
    case 'payload-identifier-fixed': {
      const { payloadIdentifier, devices } = refusal;
      const detail =
        'Devices would have both profiles. Store it under another name, or remove this one first.';
      const title = 'Devices have the profile under another PayloadIdentifier';
      return { kind, status: CONFLICT, title, detail, members: { payloadIdentifier, devices } };
    }
    case 'payload-identifier-changed': {
      const detail = `It has ${refusal.payloadIdentifier}: remove that first.`;
      return { kind, status: CONFLICT, title: 'The device has it under another PayloadIdentifier', detail };
    }
    case 'payload-identifier-taken': {
      const detail = `The device has ${refusal.identifier}, which this one would replace.`;
      return { kind, status: CONFLICT, title: 'Another stored profile has its PayloadIdentifier', detail };
    }
    case 'profile-unfit': {
      const title = `The profile is not for ${refusal.platform}`;
      return { kind, status: UNPROCESSABLE, title, members: { problems: refusal.problems } };
    }
    case 'profile-declared': {
      const detail = 'A set gives it to the device as a declaration.';
      return { kind, status: CONFLICT, title: 'The device has it as a declaration', detail };
    }
    case 'profile-order-under-way': {
      const detail = `The device has command ${refusal.commandUuid}: order again when it has answered.`;
      return { kind, status: CONFLICT, title: 'The last order is with the device', detail };
    }
    case 'too-many-targets': {
      const detail = `At most ${refusal.targetsMax} devices in one call for a profile of this size.`;
      return { kind, status: UNPROCESSABLE, title: 'Too many devices', detail };
    }
    default:
      kind satisfies never;
      throw new TypeError('unreachable');
  }
}
