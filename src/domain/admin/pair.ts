/**
 * An iPhone and the watches that were paired through it, as one: each with its state, its last pairing, and what ending
 * it would cause. Of a watch's iPhone only that watch is shown.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { Udid } from '../ids.ts';
import { type Consequence, consequencesOf } from './consequences.ts';
import type { AdminServices, DeviceRecord, PairingRecord, UnknownDevice } from './services.ts';

/** An iPhone has a handful; each costs a look at its own object. */
export const PAIR_WATCHES_MAX = 16;

export interface PairSide {
  readonly device: DeviceRecord;
  readonly ifUnenrolled: readonly Consequence[];
  readonly ifErased: readonly Consequence[];
}

export interface Pair {
  /** Null when it is not known here. */
  readonly phone: PairSide | null;
  readonly watches: readonly (PairSide & { readonly pairing: PairingRecord | null })[];
}

export async function describePair(
  { devices, pairings }: Pick<AdminServices, 'devices' | 'pairings'>,
  udid: Udid,
): Promise<Outcome<Pair, UnknownDevice>> {
  const device = await devices.find(udid);
  if (device === null) return refuse({ kind: 'unknown-device', udid });
  const isWatch = device.platform === 'watchOS';
  const phone = isWatch ? device.phone && (await devices.find(device.phone)) : device;
  const others = isWatch ? [] : device.watches.slice(0, PAIR_WATCHES_MAX);
  const found = await Promise.all(others.map((watch) => devices.find(watch)));
  const watches = isWatch ? [device] : found.filter((watch) => watch !== null);
  const sides = await Promise.all(
    watches.map(async (watch) => {
      const last = await pairings.list({ watch: watch.udid, cursor: null, limit: 1 });
      return { ...sideOf(watch), pairing: last.ok ? (last.value.items[0] ?? null) : null };
    }),
  );
  return ok({ phone: phone === null ? null : sideOf(phone), watches: sides });
}

function sideOf(device: DeviceRecord): PairSide {
  const command = new Map([['Identifier', '']]);
  const of = (requestType: string) => consequencesOf({ requestType, command }, device, () => true).causes;
  return { device, ifUnenrolled: of('RemoveProfile'), ifErased: of('EraseDevice') };
}
