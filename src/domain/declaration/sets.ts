/**
 * Sets of declarations, and the devices and groups they are assigned to. A device holds the union of its sets; each
 * change is stored with the marks of the devices that it concerns, and then brought to them (due.ts).
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  Changed,
  DeclarationSets,
  DeviceDeclaration,
  DeviceManifest,
  PutSet,
  SetAssignGroupRefusal,
  SetAssignRefusal,
  SetDevice,
  SetGroup,
  SetPutRefusal,
  SetRecord,
  SetRemoveRefusal,
  UnknownGroup,
  UnknownSet,
} from '../admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery, UnknownDevice } from '../admin/services.ts';
import type { DescribedDeclaration, DeviceDescription, Devices } from '../enrollment/device.ts';
import type { MalformedIdentifier, Udid } from '../ids.ts';
import { type CompiledDeclaration, NO_TOKEN } from './compile.ts';
import type { Change, DueManifests } from './due.ts';
import type { GroupStore, LibraryStore, SetStore } from './library-ports.ts';
import { RESERVED_PREFIX } from './manifest.ts';
import type { ManifestCompiler } from './manifest-compiler.ts';

/** Of a device, and of a group. */
export const SETS_MAX = 20;
export const DECLARATIONS_PER_SET_MAX = 200;
/** Enough of the devices that hinder a removal to find the rest by. */
const DEVICES_NAMED_MAX = 32;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface SetOptions {
  readonly store: SetStore;
  readonly groups: Pick<GroupStore, 'find'>;
  readonly library: Pick<LibraryStore, 'kindsOf'>;
  readonly manifests: Pick<ManifestCompiler, 'compile'>;
  readonly due: DueManifests;
  readonly devices: Devices;
  /** Whether a certificate was ever issued for a UDID: no object is made for a guess. */
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  readonly newUuid: () => string;
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
  ): Promise<Outcome<PutSet, SetPutRefusal>> {
    const parsed = parseSetName(name);
    if (!parsed.ok) return parsed;
    const { store, due } = this.#options;
    const unknown = await this.#unknown(identifiers);
    if (unknown.length > 0) return refuse({ kind: 'unknown-declarations', identifiers: unknown });
    const before = await store.find(name);
    const declarations = [...new Set(identifiers)].sort();
    if (before !== null && isSame(before.declarations, declarations))
      return ok({ changed: before, created: false, waiting: 0 });
    const change = this.#change(nowMs);
    try {
      await store.put(name, declarations, change);
    } catch (error) {
      // One of them was deleted since they were looked up: the set was not written.
      const gone = await this.#unknown(declarations);
      if (gone.length === 0) throw error;
      return refuse({ kind: 'unknown-declarations', identifiers: gone });
    }
    const waiting = await due.settle(change);
    const { devices, groups } = before ?? { devices: 0, groups: [] };
    const changed = { name, declarations, devices, groups, updatedAtMs: nowMs };
    return ok({ changed, created: before === null, waiting });
  }

  async remove(name: string): Promise<Outcome<{ removed: true }, SetRemoveRefusal>> {
    const { store } = this.#options;
    if (await store.remove(name)) return ok({ removed: true });
    const devices = await store.devicesOf(name, DEVICES_NAMED_MAX);
    const groups = (await store.groupsOf(name)).map((one) => one.group);
    return devices.length + groups.length === 0
      ? refuse({ kind: 'unknown-set', name })
      : refuse({ kind: 'set-assigned', devices, groups });
  }

  async assign(
    name: string,
    udid: Udid,
    nowMs: EpochMs,
  ): Promise<Outcome<{ assigned: true }, SetAssignRefusal>> {
    const { store, due } = this.#options;
    const device = await this.#device(udid);
    if (!device.ok) return device;
    const sets = await store.setsOf(udid);
    if (!sets.includes(name) && sets.length >= SETS_MAX)
      return refuse({ kind: 'device-sets-full', setsMax: SETS_MAX });
    const change = this.#change(nowMs);
    if (!(await store.assign(name, udid, change))) return refuse({ kind: 'unknown-set', name });
    await due.settle(change);
    return ok({ assigned: true });
  }

  async unassign(
    name: string,
    udid: Udid,
    nowMs: EpochMs,
  ): Promise<Outcome<{ assigned: false }, UnknownSet | UnknownDevice>> {
    const { store, due } = this.#options;
    const device = await this.#device(udid);
    if (!device.ok) return device;
    if ((await store.find(name)) === null) return refuse({ kind: 'unknown-set', name });
    const change = this.#change(nowMs);
    await store.unassign(name, udid, change);
    await due.settle(change);
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

  async assignGroup(
    name: string,
    assignment: SetGroup,
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<SetGroup>, SetAssignGroupRefusal>> {
    const { store, groups, due } = this.#options;
    const { group } = assignment;
    const sets = await store.setsOfGroup(group);
    if (!sets.includes(name) && sets.length >= SETS_MAX)
      return refuse({ kind: 'group-sets-full', setsMax: SETS_MAX });
    const change = this.#change(nowMs);
    if (await store.assignGroup(name, assignment, change))
      return ok({ changed: assignment, waiting: await due.settle(change) });
    const missing = (await groups.find(group)) === null;
    return refuse(missing ? { kind: 'unknown-group', name: group } : { kind: 'unknown-set', name });
  }

  async unassignGroup(
    name: string,
    group: string,
    nowMs: EpochMs,
  ): Promise<Outcome<{ waiting: number }, UnknownSet | UnknownGroup>> {
    const { store, groups, due } = this.#options;
    if ((await store.find(name)) === null) return refuse({ kind: 'unknown-set', name });
    if ((await groups.find(group)) === null) return refuse({ kind: 'unknown-group', name: group });
    const change = this.#change(nowMs);
    await store.unassignGroup(name, group, change);
    return ok({ waiting: await due.settle(change) });
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

  waiting() {
    return this.#options.due.waiting();
  }

  /** Of these, what no set can hold: not there, or the server's own. */
  async #unknown(identifiers: readonly string[]): Promise<readonly string[]> {
    const known = await this.#options.library.kindsOf(identifiers);
    return identifiers.filter((one) => !known.has(one) || one.startsWith(RESERVED_PREFIX));
  }

  #change(atMs: EpochMs): Change {
    return { id: this.#options.newUuid(), atMs };
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

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}

/** What the device said counts for the token that it now is to hold. */
function describe(one: CompiledDeclaration, held: DescribedDeclaration | undefined): DeviceDeclaration {
  const { identifier, kind, serverToken, origin, withheld } = one;
  const current = held?.serverToken === serverToken && withheld === null ? held : undefined;
  return {
    identifier,
    kind,
    serverToken: serverToken === NO_TOKEN ? null : serverToken,
    origin,
    withheld,
    fetched: current?.fetched ?? false,
    active: current?.status?.active ?? null,
    valid: current?.status?.valid ?? null,
    reasons: current?.status?.reasons ?? [],
  };
}
