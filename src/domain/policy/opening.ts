/**
 * Opens the profiles that declarations of a manifest stand for, and those that commands gave to devices: stored here and
 * sealed, XML or signed around it. Only those with payloads that set policy, and no more than one answer may hold.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { UnreadSource } from '../admin/policy-services.ts';
import type { CompiledDeclaration } from '../declaration/compile.ts';
import { parseProfile } from '../declaration/profile-content.ts';
import type { UploadSeal } from '../declaration/upload-ports.ts';
import type { Udid } from '../ids.ts';
import { LEGACY_TYPES, POLICY_PAYLOADS } from './keys.ts';
import type { OrderedProfile, PolicyProfileStore } from './ports.ts';
import { heldOf, type InstalledProfile, type OpenedProfile, payloadOf, profileAssetOf } from './sources.ts';

/** Read, opened and parsed at once, of a Worker's 128 MB. Profiles with policy have some kilobytes. */
export const OPENED_BYTES_MAX = 4 * 1024 * 1024;

const QUERY = { payloadTypes: POLICY_PAYLOADS, bytesMax: OPENED_BYTES_MAX };

export interface ProfileOpenerOptions {
  readonly store: Pick<PolicyProfileStore, 'declared' | 'ordered'>;
  readonly seal: Pick<UploadSeal, 'open'>;
}

export interface Manifested {
  readonly compiled: readonly CompiledDeclaration[];
  readonly payloads: ReadonlyMap<string, JsonObject>;
}

/** By the identifier of the declaration, for all devices of one answer: one read. */
export async function openDeclared(
  devices: readonly Manifested[],
  { store, seal }: ProfileOpenerOptions,
): Promise<ReadonlyMap<string, OpenedProfile>> {
  const wanted = devices.flatMap(wantedBy);
  if (wanted.length === 0) return new Map();
  const names = [...new Set(wanted.map((one) => one.stored))];
  const found = await store.declared(names, QUERY);
  const opened = new Map<string, OpenedProfile>();
  for (const row of found) {
    const asked = wanted.find((one) => one.stored === row.identifier && one.serverToken === row.serverToken);
    opened.set(row.identifier, asked === undefined ? unread('changed') : await open(row, seal));
  }
  return new Map(
    wanted.flatMap(({ declaration, stored }) => {
      const profile = opened.get(stored);
      return profile === undefined ? [] : [[declaration, profile] as const];
    }),
  );
}

interface Wanted {
  readonly declaration: string;
  /** Where its profile is stored: under its own name, or the asset's that it refers to. */
  readonly stored: string;
  readonly serverToken: string | undefined;
}

function wantedBy(device: Manifested): readonly Wanted[] {
  const held = heldOf(device.compiled);
  const tokens = new Map(held.map((one) => [one.identifier, one.serverToken]));
  return held
    .filter((one) => LEGACY_TYPES.has(one.type))
    .map((one) => {
      const stored = profileAssetOf(payloadOf(one, device)) ?? one.identifier;
      return { declaration: one.identifier, stored, serverToken: tokens.get(stored) };
    });
}

/** By device, of its present enrollment: what was given to it in an earlier one went with that. */
export async function openOrdered(
  devices: ReadonlyMap<Udid, { readonly enrollmentId: string }>,
  { store, seal }: ProfileOpenerOptions,
): Promise<ReadonlyMap<Udid, readonly InstalledProfile[]>> {
  const ordered = await store.ordered([...devices.keys()], QUERY);
  const opened = new Map<Udid, InstalledProfile[]>();
  for (const row of ordered) {
    const { udid, identifier, payloadIdentifier, state, isInstalled, installedAtMs } = row;
    if (devices.get(udid)?.enrollmentId !== row.enrollmentId) continue;
    const content = row.isKept ? await open(row, seal) : unread('deleted');
    const list = opened.get(udid) ?? [];
    list.push({ identifier, payloadIdentifier, state, isInstalled, installedAtMs, content });
    opened.set(udid, list);
  }
  return opened;
}

async function open(
  row: Pick<OrderedProfile, 'identifier' | 'relevant' | 'sealed'>,
  seal: ProfileOpenerOptions['seal'],
): Promise<OpenedProfile> {
  if (!row.relevant) return { kind: 'other' };
  if (row.sealed === null) return unread('limit');
  const content = await seal.open(row.identifier, row.sealed);
  const profile = content === null ? null : parseProfile(content);
  return profile?.ok ? { kind: 'opened', profile: profile.value } : unread('unreadable');
}

function unread(reason: UnreadSource): OpenedProfile {
  return { kind: 'unread', reason };
}
