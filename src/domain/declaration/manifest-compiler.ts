/**
 * A device's manifest: the union of its sets' declarations and of its watch enrollment's, without what its platform
 * and OS version do not take (the catalog's rule; supervision and the rest are left to the device, which reports
 * them). Everything that changes an assignment comes through `hold`, so that none overwrites another.
 *
 * Order: two changes at once may hand a device their manifests in either order. Each reads the assignments again
 * after it handed one over, until what it read is what it handed over; so the last one handed over was read after the
 * last change. An activation is not withheld with a configuration that is: it fails on the device, which says so.
 */
import { type KindCatalog, loadCatalog } from '../../protocol/catalog/catalog.ts';
import { type CatalogTarget, entryUnsupported, type Unsupported } from '../../protocol/catalog/support.ts';
import { DECLARATION_KINDS } from '../../protocol/ddm/endpoint.ts';
import { utf8 } from '../../std/bytes.ts';
import { Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { Assigned, AssignedDeclaration, AssignmentSource } from './library-ports.ts';
import { type DeclarationKind, type ManifestEntry, manifestContent, RESERVED_PREFIX } from './manifest.ts';
import type { Sha256Hex } from './ports.ts';

/** One request tells this many devices: two calls to each object, and five queries for every `DEVICES_PER_READ`. */
export const DEVICES_PER_CHANGE_MAX = 500;
const DEVICES_PER_READ = 50;
/** Objects spoken to at once. */
const CONCURRENCY = 16;
/** Each further pass means that somebody else changed the same devices meanwhile. */
const PASSES_MAX = 6;

export interface CompiledDeclaration extends AssignedDeclaration {
  readonly origin: { readonly sets: readonly string[]; readonly watchEnrollment: boolean };
  readonly withheld: Unsupported | null;
}

type Catalogs = ReadonlyMap<DeclarationKind, KindCatalog>;

export class ManifestCompiler {
  readonly #devices: Devices;
  readonly #source: AssignmentSource;
  readonly #sha256Hex: Sha256Hex;

  constructor(options: {
    readonly devices: Devices;
    readonly source: AssignmentSource;
    readonly sha256Hex: Sha256Hex;
  }) {
    this.#devices = options.devices;
    this.#source = options.source;
    this.#sha256Hex = options.sha256Hex;
  }

  /** Brings these devices' manifests up to date; a device whose manifest changes is told by its object. */
  async hold(udids: readonly Udid[], nowMs: EpochMs): Promise<void> {
    const catalogs = await loadCatalogs();
    const failures: unknown[] = [];
    for (let at = 0; at < udids.length; at += DEVICES_PER_READ) {
      const chunk = udids.slice(at, at + DEVICES_PER_READ);
      // One device that does not answer must not keep the others from being told; the caller hears of it at the end.
      await this.#holdChunk(chunk, { catalogs, nowMs, failures });
    }
    if (failures.length > 0) throw failures[0];
  }

  /** What the device is to hold and why, from the assignments as they stand. */
  async compile(udid: Udid, device: DeviceDescription): Promise<readonly CompiledDeclaration[]> {
    const catalogs = await loadCatalogs();
    const assigned = (await this.#source.assigned([udid])).get(udid);
    return assigned === undefined ? [] : compile(assigned, device, catalogs);
  }

  async #holdChunk(udids: readonly Udid[], change: Change): Promise<void> {
    const held = new Map<Udid, Held>();
    let open = udids;
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      const assigned = await this.#source.assigned(open);
      const told: Udid[] = [];
      await forEachBounded(open, change.failures, async (udid) => {
        const found = assigned.get(udid);
        if (found === undefined) return;
        if (await this.#tell(udid, found, held, change)) told.push(udid);
      });
      if (told.length === 0) return;
      open = told;
    }
    change.failures.push(new Unavailable('manifest-contended', 'others kept changing the same devices'));
  }

  /** Whether a manifest was handed over. */
  async #tell(udid: Udid, assigned: Assigned, held: Map<Udid, Held>, change: Change): Promise<boolean> {
    const object = this.#devices.of(udid);
    const before = held.get(udid);
    const device = before?.device ?? (await object.describe());
    if (device === null) return false;
    const entries = entriesOf(compile(assigned, device, change.catalogs));
    const token = await this.#sha256Hex(utf8(manifestContent(entries)));
    if (before?.token === token) return false;
    // A device that never held anything has nothing to be told of.
    if (before === undefined && entries.length === 0 && device.declarations.length === 0) return false;
    await object.setManifest(entries, token, change.nowMs);
    held.set(udid, { device, token });
    return true;
  }
}

interface Change {
  readonly catalogs: Catalogs;
  readonly nowMs: EpochMs;
  readonly failures: unknown[];
}

interface Held {
  readonly device: DeviceDescription;
  readonly token: string;
}

/** In order of kind and identifier, each once. */
function compile(
  assigned: Assigned,
  device: DeviceDescription,
  catalogs: Catalogs,
): readonly CompiledDeclaration[] {
  const { platform, osVersion } = device;
  const compiled = new Map<string, CompiledDeclaration>();
  const add = (declaration: AssignedDeclaration, set: string | null) => {
    const origin = compiled.get(declaration.identifier)?.origin ?? { sets: [], watchEnrollment: false };
    compiled.set(declaration.identifier, {
      ...declaration,
      origin:
        set === null ? { ...origin, watchEnrollment: true } : { ...origin, sets: [...origin.sets, set] },
      withheld: withheld(declaration, { platform, osVersion }, catalogs),
    });
  };
  for (const [set, declarations] of assigned.sets) for (const one of declarations) add(one, set);
  for (const one of watchEnrollmentOf(assigned, device)) add(one, null);
  return [...compiled.values()].sort(
    (a, b) => compare(a.kind, b.kind) || compare(a.identifier, b.identifier),
  );
}

/** An assignment that did not record its declarations stays as the phone holds it. */
function watchEnrollmentOf(assigned: Assigned, device: DeviceDescription): readonly AssignedDeclaration[] {
  if (assigned.watchEnrollment !== 'unrecorded') return assigned.watchEnrollment;
  return device.declarations
    .filter(({ identifier }) => identifier.startsWith(RESERVED_PREFIX))
    .map(({ kind, identifier, serverToken }) => ({ kind, identifier, serverToken, type: '' }));
}

/** A type that the catalog does not know is given to everyone: its author allowed it. */
function withheld(
  { kind, type }: AssignedDeclaration,
  target: CatalogTarget,
  catalogs: Catalogs,
): Unsupported | null {
  const entry = catalogs.get(kind)?.find(type) ?? null;
  return entry === null ? null : entryUnsupported(entry, target);
}

function entriesOf(compiled: readonly CompiledDeclaration[]): readonly ManifestEntry[] {
  return compiled
    .filter((one) => one.withheld === null)
    .map(({ kind, identifier, serverToken }) => ({ kind, identifier, serverToken }));
}

async function loadCatalogs(): Promise<Catalogs> {
  const loaded = DECLARATION_KINDS.map(async (kind) => [kind, await loadCatalog(kind)] as const);
  return new Map(await Promise.all(loaded));
}

async function forEachBounded<T>(
  items: readonly T[],
  failures: unknown[],
  act: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const work = async () => {
    for (const item of waiting) {
      try {
        await act(item);
      } catch (error) {
        // The others go on; `hold` throws the first failure when all are done.
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, work));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
