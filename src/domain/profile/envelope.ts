/**
 * The profile around its payloads, in the catalog's terms and ready to be written. Keys are in one order, whatever
 * order they were written in: the same content is the same bytes. Payloads keep theirs, in which devices install them.
 */
import { encodePlist } from '../../protocol/plist/encode.ts';
import { type JsonObject, jsonToPlist } from '../../protocol/plist/json.ts';
import { isDict, type PlistValue } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { toTimestamp } from '../../std/time.ts';
import type { PayloadDraft, ProfileDraft } from './draft.ts';

/** TargetDeviceType of Apple Watch (facts 6); of an iPhone the facts give none, so it stays unspecified. */
const TARGET_WATCH = 2;

export interface Names {
  readonly identifier: string;
  readonly uuid: string;
}

export function profileKeys(draft: ProfileDraft, names: Names, content: readonly JsonObject[]): JsonObject {
  const { displayName, description, organization, platform, removalDate, removalDisallowed } = draft;
  return present({
    ...envelope('Configuration', names, displayName, description),
    PayloadOrganization: organization,
    PayloadContent: [...content],
    RemovalDate: removalDate === undefined ? undefined : { $date: toTimestamp(removalDate) },
    PayloadRemovalDisallowed: removalDisallowed,
    TargetDeviceType: platform === 'watchOS' ? TARGET_WATCH : undefined,
  });
}

export function payloadKeys(draft: PayloadDraft, names: Names, keys: JsonObject): JsonObject {
  return present({ ...keys, ...envelope(draft.type, names, draft.displayName, draft.description) });
}

function envelope(type: string, { identifier, uuid }: Names, displayName?: string, description?: string) {
  return {
    PayloadType: type,
    PayloadVersion: 1,
    PayloadIdentifier: identifier,
    PayloadUUID: uuid,
    PayloadDisplayName: displayName,
    PayloadDescription: description,
  };
}

function present(keys: Readonly<Record<string, JsonObject[string] | undefined>>): JsonObject {
  const entries = Object.entries(keys).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  return Object.fromEntries(entries);
}

export function writeProfile(profile: JsonObject): Bytes {
  const plist = jsonToPlist(profile);
  if (!plist.ok) throw new Fault('profile-unwritable', plist.refusal.reason);
  return encodePlist(sorted(plist.value));
}

function sorted(value: PlistValue): PlistValue {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isDict(value)) return value;
  const entries = [...value].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return new Map(entries.map(([key, member]) => [key, sorted(member)]));
}
