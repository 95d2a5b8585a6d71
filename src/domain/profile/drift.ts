/**
 * What a device lists against what is recorded of it. A listing older than the last change of a record says nothing of
 * that record, and nothing of declarations: the device reports on those itself. PayloadUUIDs tell versions apart as far
 * as their author changed them.
 */
import type { ProfileDrift, ProfileOnDevice } from '../admin/profile-services.ts';
import type { ListedProfile, ProfileListing } from './device-profile-ports.ts';

/** The PayloadUUID of each kept version of a stored profile. */
export type VersionUuids = ReadonlyMap<number, string>;

export function driftOf(
  listing: ProfileListing,
  items: readonly ProfileOnDevice[],
  uuidsOf: (identifier: string) => VersionUuids,
  isEnrollmentProfile: (payloadIdentifier: string) => boolean,
): readonly ProfileDrift[] {
  const listed = new Map(listing.profiles.map((one) => [one.payloadIdentifier, one]));
  const known = new Set(items.map((one) => one.payloadIdentifier));
  const strangers = listing.profiles
    .filter((one) => !known.has(one.payloadIdentifier) && !isEnrollmentProfile(one.payloadIdentifier))
    .map(
      ({ payloadIdentifier, displayName }) => ({ kind: 'unknown', payloadIdentifier, displayName }) as const,
    );
  const ours = items
    .filter((one) => one.changedAtMs !== null && one.changedAtMs < listing.answeredAtMs)
    .flatMap((one) => judge(one, listed.get(one.payloadIdentifier), uuidsOf(one.identifier)));
  return [...ours, ...strangers];
}

function judge(
  item: ProfileOnDevice,
  listed: ListedProfile | undefined,
  uuids: VersionUuids,
): readonly ProfileDrift[] {
  const { identifier, payloadIdentifier, installedVersion } = item;
  if (installedVersion === null)
    return listed === undefined || item.state === 'ordered'
      ? []
      : [{ kind: 'unknown', payloadIdentifier, displayName: listed.displayName }];
  if (listed === undefined) return [{ kind: 'missing', identifier, payloadIdentifier }];
  const expected = uuids.get(installedVersion);
  if (listed.payloadUuid === null || expected === undefined || sameUuid(expected, listed.payloadUuid))
    return [];
  const uuid = listed.payloadUuid;
  const version = [...uuids].find(([, one]) => sameUuid(one, uuid))?.[0] ?? null;
  return [{ kind: 'other-version', identifier, payloadIdentifier, version }];
}

function sameUuid(a: string, b: string): boolean {
  return a.toUpperCase() === b.toUpperCase();
}
