/**
 * What the catalog cannot tell of a command: parts that are the server's own to say, keys of which one must be there, and
 * the profile inside InstallProfile.
 */
import { loadCatalog } from '../../protocol/catalog/catalog.ts';
import type { CatalogEntry } from '../../protocol/catalog/entry.ts';
import { type CatalogTarget, entryUnsupported } from '../../protocol/catalog/support.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { ProfileRefusal, ReadProfile } from '../declaration/profile-content.ts';
import type { CommandProblem, JudgedCommand, JudgedDevice } from './admission.ts';

const UNLOCK_TOKEN = 'UnlockToken';
const APP_KEYS = ['iTunesStoreID', 'Identifier', 'ManifestURL'] as const;
/** Of the profile types that MDM may not install, the one that is not refused as an enrollment (facts 12). */
const BY_HAND_ONLY = 'com.apple.declarations';

/** Beyond the rules of its entry, why a device takes no command of a type. */
export function lacksSpecially(entry: CatalogEntry, device: JudgedDevice): CommandProblem | null {
  const path = 'RequestType';
  if (entry.type === 'ClearPasscode' && !device.hasUnlockToken)
    return { path, rule: 'unlock-token', expected: 'a device that has sent an unlock token' };
  const users = entry.platforms.iOS?.sharedIpad === 'required';
  if (users && device.productName?.startsWith('iPhone') === true)
    return { path, rule: 'platform', expected: 'a Shared iPad' };
  return null;
}

/** The unlock token is put in when ClearPasscode is delivered: until then the command is judged as if it were there. */
export function withEscrow(requestType: string, content: JsonObject): JsonObject {
  return requestType === 'ClearPasscode' ? { ...content, [UNLOCK_TOKEN]: { $data: '' } } : content;
}

export type ReadingOfProfile = Promise<Outcome<ReadProfile, ProfileRefusal>>;

export async function judgeSpecialCase(
  { requestType, command }: JudgedCommand,
  target: CatalogTarget,
  read: (profile: Bytes) => ReadingOfProfile,
): Promise<readonly CommandProblem[]> {
  switch (requestType) {
    case 'ClearPasscode':
      return reserved(command, UNLOCK_TOKEN, 'no such key: the token that the device sent is put in');
    case 'DeclarativeManagement':
      // Without it the device asks for what is current; a token from outside would be one of another state.
      return reserved(command, 'Data', 'no such key: the server alone knows the tokens of the moment');
    case 'InstallApplication':
      return APP_KEYS.some((key) => command.has(key)) ? [] : [missingApp(target)];
    case 'InstallProfile': {
      const payload = command.get('Payload');
      return payload instanceof Uint8Array ? judgeProfile(await read(payload), target) : [];
    }
    default:
      return [];
  }
}

function reserved(command: PlistDict, path: string, expected: string): readonly CommandProblem[] {
  return command.has(path) ? [{ path, rule: 'reserved', expected }] : [];
}

function missingApp({ platform }: CatalogTarget): CommandProblem {
  const whose = platform === 'watchOS' ? " (of the watch's own app, not of the iPhone's)" : '';
  const [store, identifier, manifest] = APP_KEYS;
  return { path: identifier, rule: 'required', expected: `${store}, ${identifier}${whose} or ${manifest}` };
}

async function judgeProfile(
  profile: Awaited<ReadingOfProfile>,
  target: CatalogTarget,
): Promise<readonly CommandProblem[]> {
  if (!profile.ok) return profileProblems(profile.refusal);
  const catalog = await loadCatalog('profile');
  // By type alone: a device passes over keys of other platforms, and one profile may be meant for both.
  return profile.value.details.payloadTypes.flatMap((type) => {
    if (type === BY_HAND_ONLY) return [inProfile('profile', `not ${type}: only a person may install it`)];
    const entry = catalog.find(type);
    const unsupported = entry === null ? null : entryUnsupported(entry, target);
    return unsupported === null ? [] : [inProfile(unsupported.rule, `${type}: ${unsupported.expected}`)];
  });
}

function profileProblems(refusal: ProfileRefusal): readonly CommandProblem[] {
  switch (refusal.kind) {
    case 'invalid-content':
      return refusal.problems.map(({ path, rule, expected }) => inProfile(rule, `${path}: ${expected}`));
    case 'upload-too-large':
      return [inProfile('profile', `at most ${refusal.bytesMax} bytes`)];
    case 'malformed-profile':
      return [inProfile('profile', `a profile that can be read: ${refusal.reason}`)];
    case 'enrollment-profile':
      return [inProfile('reserved', 'a profile that does not manage the device: enrolling gives those out')];
    default:
      refusal satisfies never;
      throw new TypeError('unreachable');
  }
}

function inProfile(rule: CommandProblem['rule'], expected: string): CommandProblem {
  return { path: 'Payload', rule, expected };
}
