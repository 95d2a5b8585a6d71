/**
 * Sets of declarations and the devices they are assigned to. A device holds the union of its sets; each change is
 * stored first and then brought into the manifests of the devices that it concerns.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  DeclarationSets,
  DeviceDeclaration,
  DeviceManifest,
  SetAssignRefusal,
  SetDevice,
  SetPutRefusal,
  SetRecord,
  SetRemoveRefusal,
  UnknownSet,
} from '../admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery, UnknownDevice } from '../admin/services.ts';
import type { DescribedDeclaration, DeviceDescription, Devices } from '../enrollment/device.ts';
import type { MalformedIdentifier, Udid } from '../ids.ts';
import type { LibraryStore, SetStore } from './library-ports.ts';
import { RESERVED_PREFIX } from './manifest.ts';
import {
  type CompiledDeclaration,
  DEVICES_PER_CHANGE_MAX,
  type ManifestCompiler,
} from './manifest-compiler.ts';

/** 20 sets of 200 declarations: a manifest of 4,000 rows, some 500 KB of declaration items. */
export const SETS_PER_DEVICE_MAX = 20;
export const DECLARATIONS_PER_SET_MAX = 200;
/** Enough of the devices that hinder a removal to find the rest by. */
const DEVICES_NAMED_MAX = 32;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface SetOptions {
  readonly store: SetStore;
  readonly library: Pick<LibraryStore, 'kindsOf'>;
  readonly manifests: Pick<ManifestCompiler, 'hold' | 'compile'>;
  readonly devices: Devices;
  /** Whether a certificate was ever issued for a UDID: no object is made for a guess. */
  readonly isKnown: (udid: Udid) => Promise<boolean>;
}

export class Sets implements DeclarationSets {
  readonly #options: SetOptions;

  constructor(options: SetOptions) {
    this.#options = options;
  }

  list(page: PageQuery) {
    return this.#options.store.list(page);
  }

  find(name: string): Promise<SetRecord | null> {
    return this.#options.store.find(name);
  }

  async put(
    name: string,
    identifiers: readonly string[],
    nowMs: EpochMs,
  ): Promise<Outcome<{ set: SetRecord; created: boolean }, SetPutRefusal>> {
    const parsed = parseSetName(name);
    if (!parsed.ok) return parsed;
    const { store, library, manifests } = this.#options;
    const known = await library.kindsOf(identifiers);
    const unknown = identifiers.filter((one) => !known.has(one) || one.startsWith(RESERVED_PREFIX));
    if (unknown.length > 0) return refuse({ kind: 'unknown-declarations', identifiers: unknown });
    const before = await store.devicesOf(name, DEVICES_PER_CHANGE_MAX + 1);
    if (before.length > DEVICES_PER_CHANGE_MAX)
      return refuse({ kind: 'too-many-devices', devicesMax: DEVICES_PER_CHANGE_MAX });
    const created = (await store.find(name)) === null;
    await store.put(name, [...new Set(identifiers)].sort(), nowMs);
    // Read after the write: a device assigned meanwhile has either read the new set, or is told here.
    const devices = await store.devicesOf(name, DEVICES_PER_CHANGE_MAX);
    await manifests.hold(devices, nowMs);
    const declarations = [...new Set(identifiers)].sort();
    return ok({ set: { name, declarations, devices: devices.length, updatedAtMs: nowMs }, created });
  }

  async remove(name: string): Promise<Outcome<{ removed: true }, SetRemoveRefusal>> {
    const { store } = this.#options;
    if (await store.remove(name)) return ok({ removed: true });
    const devices = await store.devicesOf(name, DEVICES_NAMED_MAX);
    return devices.length === 0
      ? refuse({ kind: 'unknown-set', name })
      : refuse({ kind: 'set-assigned', devices });
  }

  async assign(
    name: string,
    udid: Udid,
    nowMs: EpochMs,
  ): Promise<Outcome<{ assigned: true }, SetAssignRefusal>> {
    const { store, manifests } = this.#options;
    const device = await this.#device(udid);
    if (!device.ok) return device;
    const sets = await store.setsOf(udid);
    if (!sets.includes(name) && sets.length >= SETS_PER_DEVICE_MAX)
      return refuse({ kind: 'device-sets-full', setsMax: SETS_PER_DEVICE_MAX });
    if (!(await store.assign(name, udid, nowMs))) return refuse({ kind: 'unknown-set', name });
    await manifests.hold([udid], nowMs);
    return ok({ assigned: true });
  }

  async unassign(
    name: string,
    udid: Udid,
    nowMs: EpochMs,
  ): Promise<Outcome<{ assigned: false }, UnknownSet | UnknownDevice>> {
    const { store, manifests } = this.#options;
    const device = await this.#device(udid);
    if (!device.ok) return device;
    if ((await store.find(name)) === null) return refuse({ kind: 'unknown-set', name });
    await store.unassign(name, udid);
    await manifests.hold([udid], nowMs);
    return ok({ assigned: false });
  }

  async devices(
    name: string,
    page: PageQuery,
  ): Promise<Outcome<Page<SetDevice>, MalformedCursor | UnknownSet>> {
    const { store } = this.#options;
    const devices = await store.listDevices(name, page);
    // Only an empty page leaves the question open.
    const known = !devices.ok || devices.value.items.length > 0 || (await store.find(name)) !== null;
    return known ? devices : refuse({ kind: 'unknown-set', name });
  }

  async ofDevice(udid: Udid): Promise<Outcome<DeviceManifest, UnknownDevice>> {
    const device = await this.#device(udid);
    if (!device.ok) return device;
    const compiled = await this.#options.manifests.compile(udid, device.value);
    const held = new Map(device.value.declarations.map((one) => [one.identifier, one]));
    const { declarationsToken, manifestChangedAtMs: changedAtMs, declarePending: pending } = device.value;
    const items = compiled.map((one) => describe(one, held.get(one.identifier)));
    return ok({ items, declarationsToken, changedAtMs, pending });
  }

  async #device(udid: Udid): Promise<Outcome<DeviceDescription, UnknownDevice>> {
    const known = await this.#options.isKnown(udid);
    const device = known ? await this.#options.devices.of(udid).describe() : null;
    return device === null ? refuse({ kind: 'unknown-device', udid }) : ok(device);
  }
}

/** Names are in paths and in listings: letters, digits, dots, hyphens, underscores. */
export function parseSetName(text: string): Outcome<string, MalformedIdentifier> {
  return NAME.test(text) ? ok(text) : refuse({ kind: 'malformed-identifier', field: 'set name' });
}

/** What the device said counts for the token that it now is to hold. */
function describe(one: CompiledDeclaration, held: DescribedDeclaration | undefined): DeviceDeclaration {
  const { identifier, kind, serverToken, origin, withheld } = one;
  const current = held?.serverToken === serverToken && withheld === null ? held : undefined;
  return {
    identifier,
    kind,
    serverToken,
    origin,
    withheld: withheld === null ? null : { rule: withheld.rule, expected: withheld.expected },
    fetched: current?.fetched ?? false,
    active: current?.status?.active ?? null,
    valid: current?.status?.valid ?? null,
    reasons: current?.status?.reasons ?? [],
  };
}
