/**
 * Profiles that an administrator's own InstallProfile put on a device, and RemoveProfile took off it: nobody keeps a
 * record of them but the history of commands, so that is played back, by PayloadIdentifier, over what is recorded of
 * stored profiles. What history has forgotten, a ProfileList still names.
 */
import { plistToJson } from '../../protocol/plist/json.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandContents } from '../command/content.ts';
import { parseProfile } from '../declaration/profile-content.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import { OPENED_BYTES_MAX, openOrdered, type ProfileOpenerOptions } from './opening.ts';
import type { PolicyProfileStore } from './ports.ts';
import type { InstalledProfile, OpenedProfile } from './sources.ts';

/** The newest; each is opened. A device has a handful. */
export const PROFILE_COMMANDS_MAX = 50;

export interface InstalledOptions extends ProfileOpenerOptions {
  readonly store: PolicyProfileStore;
  readonly contents: Pick<CommandContents, 'read'>;
}

/** What a device acknowledged. */
export interface ProfileChange {
  readonly commandUuid: CommandUuid;
  readonly installs: boolean;
  readonly atMs: EpochMs;
  /** Null when it could not be read. */
  readonly payloadIdentifier: string | null;
  readonly content: OpenedProfile;
}

/** By device, of its present enrollment. */
export async function installedOn(
  devices: ReadonlyMap<Udid, { readonly enrollmentId: string; readonly startedAtMs: EpochMs }>,
  options: InstalledOptions,
): Promise<ReadonlyMap<Udid, readonly InstalledProfile[]>> {
  const { store, contents } = options;
  const since = new Map([...devices].map(([udid, { startedAtMs }]) => [udid, startedAtMs]));
  const [ordered, commands] = await Promise.all([
    openOrdered(devices, options),
    store.commanded(since, { commandsMax: PROFILE_COMMANDS_MAX, bytesMax: OPENED_BYTES_MAX }),
  ]);
  const changes = new Map<Udid, ProfileChange[]>();
  for (const { udid, sealed, ...command } of commands) {
    const list = changes.get(udid) ?? [];
    if (sealed === null) list.push({ ...command, ...unread('limit') });
    else {
      const body = { sealed: true, bytes: sealed } as const;
      list.push({ ...command, ...changeIn(await contents.read(udid, command.commandUuid, body)) });
    }
    changes.set(udid, list);
  }
  return new Map(
    [...devices.keys()].map((udid) => [udid, playedBack(ordered.get(udid) ?? [], changes.get(udid) ?? [])]),
  );
}

type Read = Pick<ProfileChange, 'payloadIdentifier' | 'content'>;

function changeIn(command: Awaited<ReturnType<CommandContents['read']>>): Read {
  const removed = command?.get('Identifier');
  if (typeof removed === 'string') return { payloadIdentifier: removed, content: { kind: 'other' } };
  const payload = command?.get('Payload');
  const parsed = payload instanceof Uint8Array ? parseProfile(payload) : null;
  if (parsed === null || !parsed.ok) return unread('unreadable');
  const identifier = plistToJson(parsed.value.get('PayloadIdentifier') ?? '');
  if (typeof identifier !== 'string' || identifier === '') return unread('unreadable');
  return { payloadIdentifier: identifier, content: { kind: 'opened', profile: parsed.value } };
}

function unread(reason: 'limit' | 'unreadable'): Read {
  return { payloadIdentifier: null, content: { kind: 'unread', reason } };
}

/** Changes in the order in which they were acknowledged. */
export function playedBack(
  ordered: readonly InstalledProfile[],
  changes: readonly ProfileChange[],
): readonly InstalledProfile[] {
  const last = new Map<string, ProfileChange>();
  for (const change of changes) last.set(change.payloadIdentifier ?? `unread ${change.commandUuid}`, change);
  const standing = ordered.map((one): InstalledProfile => {
    const change = last.get(one.payloadIdentifier ?? '');
    if (change === undefined || isOwn(one, change)) return one;
    // Something else took its place, or took it off.
    return { ...one, isInstalled: false, state: one.state === 'installed' ? 'failed' : one.state };
  });
  const raw = [...last.values()].filter(
    (change) =>
      change.installs &&
      !ordered.some((one) => one.payloadIdentifier === change.payloadIdentifier && isOwn(one, change)),
  );
  return [...standing, ...raw.map(installedBy)];
}

/** What is recorded is the change itself, or came after it. */
function isOwn({ installedAtMs }: InstalledProfile, { atMs }: ProfileChange): boolean {
  return installedAtMs !== null && installedAtMs >= atMs;
}

function installedBy({ commandUuid, payloadIdentifier, atMs, content }: ProfileChange): InstalledProfile {
  const standing = { state: 'installed', isInstalled: true, installedAtMs: atMs } as const;
  return { identifier: commandUuid, payloadIdentifier, ...standing, content, byCommand: true };
}
