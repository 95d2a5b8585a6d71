/**
 * One profile for many devices: named, a group's, or those that have it by the record. Each device has its own outcome;
 * said again, the order finds what it did and does the rest.
 */
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { UnknownGroup } from '../admin/declaration-services.ts';
import { eachTarget, expandTargets, type Targets, targetsMaxOf } from '../admin/order-many.ts';
import type {
  DeploymentFilter,
  InstallOrder,
  InstallRefusal,
  ProfileDispatch,
  ProfileOrdered,
  ProfileRemoved,
  RemovalRefusal,
} from '../admin/profile-services.ts';
import type { AdminServices, MalformedCursor, PageQuery } from '../admin/services.ts';
import type { UnknownUpload, UnknownVersion } from '../admin/upload-services.ts';
import type { SerialNumber, Udid } from '../ids.ts';

export type ProfileTargets =
  | Targets
  | { readonly kind: 'record'; readonly filter: DeploymentFilter; readonly page: PageQuery };

export interface ManyInstall extends Omit<InstallOrder, 'confirmedSerial'> {
  readonly targets: ProfileTargets;
  /** What the administrator repeated of each device. */
  readonly confirmedSerials: ReadonlyMap<Udid, SerialNumber>;
}

export interface ManyRemoval extends Omit<ProfileDispatch, 'confirmedSerial'> {
  readonly identifier: string;
  readonly targets: ProfileTargets;
}

/** A device that could not be reached may have the order or not: saying it again tells. */
export interface DeviceOutcome<Value, Refusal extends { readonly kind: string }> {
  readonly udid: Udid;
  readonly outcome: Outcome<Value, Refusal | { readonly kind: 'unavailable' }>;
}

export interface ManyProfiles<Value, Refusal extends { readonly kind: string }> {
  readonly outcomes: readonly DeviceOutcome<Value, Refusal>[];
  /** Where the group or the record goes on. */
  readonly cursor: string | null;
}

/** All copies together would be more than one call queues. */
export type TooManyTargets = { readonly kind: 'too-many-targets'; readonly targetsMax: number };
export type ManyRefusal = MalformedCursor | UnknownGroup | UnknownUpload | UnknownVersion | TooManyTargets;

type ManyServices = Pick<AdminServices, 'groups' | 'gatheredProfiles' | 'profileOverviews'>;

/** A RemoveProfile has an identifier in it. */
const REMOVAL_BYTES = 512;

export async function installMany(
  services: ManyServices,
  order: ManyInstall,
  nowMs: EpochMs,
): Promise<Outcome<ManyProfiles<ProfileOrdered, InstallRefusal>, ManyRefusal>> {
  const { identifier, version, confirmedSerials } = order;
  const orders = services.gatheredProfiles();
  const prepared = await orders.prepare(identifier, version);
  if (!prepared.ok) return prepared;
  const targets = await expand(services, identifier, order.targets, base64Length(prepared.value.payload));
  if (!targets.ok) return targets;
  const outcomes = await eachTarget(targets.value.udids, (udid) =>
    reached(udid, () => {
      const confirmedSerial = confirmedSerials.get(udid) ?? null;
      return orders.installPrepared(udid, prepared.value, { ...order, confirmedSerial }, nowMs);
    }),
  );
  return ok({ outcomes, cursor: targets.value.cursor });
}

export async function removeMany(
  services: ManyServices,
  { identifier, targets: asked, ...dispatch }: ManyRemoval,
  nowMs: EpochMs,
): Promise<Outcome<ManyProfiles<ProfileRemoved, RemovalRefusal>, ManyRefusal>> {
  const known = await services.profileOverviews.deployment(identifier, 'all', { cursor: null, limit: 1 });
  if (!known.ok) return known;
  const orders = services.gatheredProfiles();
  const targets = await expand(services, identifier, asked, REMOVAL_BYTES);
  if (!targets.ok) return targets;
  const outcomes = await eachTarget(targets.value.udids, (udid) =>
    reached(udid, () => orders.remove(udid, identifier, { ...dispatch, confirmedSerial: null }, nowMs)),
  );
  return ok({ outcomes, cursor: targets.value.cursor });
}

/** As it stands in a command. */
function base64Length(bytes: Bytes): number {
  return Math.ceil(bytes.length / 3) * 4;
}

async function expand(
  services: ManyServices,
  identifier: string,
  targets: ProfileTargets,
  bytes: number,
): Promise<Outcome<{ udids: readonly Udid[]; cursor: string | null }, ManyRefusal>> {
  const targetsMax = targetsMaxOf(bytes);
  if (targets.kind === 'devices') {
    const isTooMuch = targets.udids.length > targetsMax;
    return isTooMuch ? refuse({ kind: 'too-many-targets', targetsMax }) : expandTargets(services, targets);
  }
  const page = { ...targets.page, limit: Math.min(targets.page.limit, targetsMax) };
  if (targets.kind === 'group') return expandTargets(services, { ...targets, page });
  const found = await services.profileOverviews.deployment(identifier, targets.filter, page);
  if (!found.ok) return found;
  const { items, cursor } = found.value.page;
  return ok({ udids: items.map((one) => one.udid), cursor });
}

async function reached<Value, Refusal extends { readonly kind: string }>(
  udid: Udid,
  act: () => Promise<Outcome<Value, Refusal>>,
): Promise<DeviceOutcome<Value, Refusal>> {
  try {
    return { udid, outcome: await act() };
  } catch (error) {
    // The others go on, and the answer names this one. Anything but an outage is a bug and ends the call.
    if (!(error instanceof Unavailable)) throw error;
    return { udid, outcome: { ok: false, refusal: { kind: 'unavailable' } } };
  }
}
