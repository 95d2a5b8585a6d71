/** Groups of devices, which sets and watch enrollment are assigned to. Everyone is in `everyone`. */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  Changed,
  DeviceGroups,
  GroupChange,
  GroupChangeRefusal,
  GroupRecord,
  GroupRemoveRefusal,
  UnknownGroup,
} from '../admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../admin/services.ts';
import type { MalformedIdentifier, Udid } from '../ids.ts';
import type { DueManifests } from './due.ts';
import type { GroupStore } from './library-ports.ts';

export const EVERYONE = 'everyone';
/** With 20 sets each, a device has at most 420 sets, of which its manifest takes 4,000 declarations. */
export const GROUPS_PER_DEVICE_MAX = 20;
/** Added or removed by one call: each is looked up and written. */
export const DEVICES_PER_CALL_MAX = 500;
const NAMED_MAX = 32;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export class Groups implements DeviceGroups {
  readonly #store: GroupStore;
  readonly #due: DueManifests;
  readonly #newUuid: () => string;

  constructor(options: {
    readonly store: GroupStore;
    readonly due: DueManifests;
    readonly newUuid: () => string;
  }) {
    this.#store = options.store;
    this.#due = options.due;
    this.#newUuid = options.newUuid;
  }

  list(page: PageQuery) {
    return this.#store.list(page);
  }

  find(name: string): Promise<GroupRecord | null> {
    return this.#store.find(name);
  }

  async create(
    name: string,
    nowMs: EpochMs,
  ): Promise<Outcome<{ group: GroupRecord; created: boolean }, MalformedIdentifier>> {
    if (!NAME.test(name)) return refuse({ kind: 'malformed-identifier', field: 'group name' });
    const created = await this.#store.create(name, nowMs);
    const group = await this.#store.find(name);
    return ok({ group: group ?? { name, devices: 0, updatedAtMs: nowMs }, created });
  }

  async remove(name: string): Promise<Outcome<{ removed: true }, GroupRemoveRefusal>> {
    if (name === EVERYONE) return refuse({ kind: 'group-everyone' });
    if (await this.#store.remove(name)) return ok({ removed: true });
    const { sets, watchEnrollment } = await this.#store.uses(name);
    const used = sets.length > 0 || watchEnrollment;
    return used
      ? refuse({ kind: 'group-assigned', sets: sets.slice(0, NAMED_MAX), watchEnrollment })
      : refuse({ kind: 'unknown-group', name });
  }

  async members(name: string, page: PageQuery): Promise<Outcome<Page<Udid>, MalformedCursor | UnknownGroup>> {
    if (!(await this.#store.exists(name))) return refuse({ kind: 'unknown-group', name });
    return this.#store.members(name, page);
  }

  async change(
    name: string,
    { add, remove }: GroupChange,
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<GroupRecord>, GroupChangeRefusal>> {
    if (name === EVERYONE) return refuse({ kind: 'group-everyone' });
    if (!(await this.#store.exists(name))) return refuse({ kind: 'unknown-group', name });
    const unknown = await this.#store.unknownDevices(add);
    if (unknown.length > 0) return refuse({ kind: 'unknown-devices', devices: unknown.slice(0, NAMED_MAX) });
    const full = await this.#store.fullDevices(name, add, GROUPS_PER_DEVICE_MAX);
    if (full.length > 0) {
      const devices = full.slice(0, NAMED_MAX);
      return refuse({ kind: 'device-groups-full', devices, groupsMax: GROUPS_PER_DEVICE_MAX });
    }
    const change = { id: this.#newUuid(), atMs: nowMs };
    await this.#store.change(name, { add, remove }, change);
    const waiting = await this.#due.settle(change);
    const group = await this.#store.find(name);
    return group === null ? refuse({ kind: 'unknown-group', name }) : ok({ changed: group, waiting });
  }
}
