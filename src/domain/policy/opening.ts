/**
 * Opens the profiles that declarations of a manifest stand for: stored here and sealed, XML or signed around it. Only
 * those with payloads that set policy, and of all of them no more than one answer may hold.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { CompiledDeclaration } from '../declaration/compile.ts';
import { storedProfile } from '../declaration/profile-content.ts';
import type { UploadSeal } from '../declaration/upload-ports.ts';
import { LEGACY_TYPES, POLICY_PAYLOADS } from './keys.ts';
import type { DeclaredProfile, DeclaredProfileStore } from './ports.ts';
import { heldOf, type OpenedProfile, payloadOf, profileAssetOf } from './sources.ts';

/** Read, opened and parsed at once, of a Worker's 128 MB. Profiles with policy have some kilobytes. */
export const OPENED_BYTES_MAX = 4 * 1024 * 1024;

export interface ProfileOpenerOptions {
  readonly store: DeclaredProfileStore;
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
  const found = await store.declared(names, POLICY_PAYLOADS, OPENED_BYTES_MAX);
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

async function open(row: DeclaredProfile, seal: Pick<UploadSeal, 'open'>): Promise<OpenedProfile> {
  if (!row.relevant) return { kind: 'other' };
  if (row.sealed === null) return unread('limit');
  const content = await seal.open(row.identifier, row.sealed);
  const profile = content === null ? null : storedProfile(content);
  return profile === null ? unread('unreadable') : { kind: 'opened', profile };
}

function unread(reason: Extract<OpenedProfile, { kind: 'unread' }>['reason']): OpenedProfile {
  return { kind: 'unread', reason };
}
