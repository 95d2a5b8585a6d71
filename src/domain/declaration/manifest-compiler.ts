/**
 * Brings devices' manifests up to date with what they are assigned. Everything that changes an assignment comes
 * through `hold`, so that none overwrites another; what a device is to hold is decided in compile.ts.
 *
 * Order: two changes at once may hand a device their manifests in either order. Each reads assignments and device again
 * after it handed one over, until what it read is what it handed over; so the last one handed over was read after the
 * last change.
 */

import { forEachBounded } from '../../std/bounded.ts';
import { utf8 } from '../../std/bytes.ts';
import { Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import {
  type Catalogs,
  type CompiledDeclaration,
  compileManifest,
  entriesOf,
  loadCatalogs,
} from './compile.ts';
import type { Assigned, AssignmentSource } from './library-ports.ts';
import { manifestContent } from './manifest.ts';
import type { Sha256Hex } from './ports.ts';

const DEVICES_PER_READ = 50;
/** Objects spoken to at once. */
const CONCURRENCY = 16;
/** Each further pass means that somebody else changed the same devices meanwhile. */
const PASSES_MAX = 6;

export interface CompilerOptions {
  readonly devices: Devices;
  readonly source: AssignmentSource;
  readonly sha256Hex: Sha256Hex;
  /** Hears why a device could not be told. */
  readonly onMissed: (udid: Udid, error: unknown) => void;
}

export class ManifestCompiler {
  readonly #options: CompilerOptions;

  constructor(options: CompilerOptions) {
    this.#options = options;
  }

  /**
   * Brings these devices' manifests up to date; a device whose manifest changes is told by its object. Returns those
   * that could not be reached: one that does not answer keeps none of the others waiting.
   */
  async hold(udids: readonly Udid[], nowMs: EpochMs): Promise<readonly Udid[]> {
    const catalogs = await loadCatalogs();
    const missed: Udid[] = [];
    for (let at = 0; at < udids.length; at += DEVICES_PER_READ)
      await this.#holdChunk(udids.slice(at, at + DEVICES_PER_READ), { catalogs, nowMs, missed });
    return missed;
  }

  /** `hold` for one device, whose caller must know. */
  async holdOne(udid: Udid, nowMs: EpochMs): Promise<void> {
    const missed = await this.hold([udid], nowMs);
    if (missed.length > 0) throw new Unavailable('manifest-missed', 'the device did not take its manifest');
  }

  /** What the device is to hold and why, from the assignments as they stand. */
  async compile(udid: Udid, device: DeviceDescription): Promise<readonly CompiledDeclaration[]> {
    const assigned = (await this.#options.source.assigned([udid])).get(udid);
    return assigned === undefined ? [] : this.compileAssigned(udid, assigned, device);
  }

  /** From these assignments instead. */
  async compileAssigned(
    udid: Udid,
    assigned: Assigned,
    device: DeviceDescription,
  ): Promise<readonly CompiledDeclaration[]> {
    const { sha256Hex } = this.#options;
    return compileManifest(udid, assigned, device, { catalogs: await loadCatalogs(), sha256Hex });
  }

  async #holdChunk(udids: readonly Udid[], change: HoldChange): Promise<void> {
    const held = new Map<Udid, string>();
    let open = udids;
    for (let pass = 0; pass < PASSES_MAX && open.length > 0; pass++) {
      const assigned = await this.#options.source.assigned(open);
      const told: Udid[] = [];
      await forEachBounded(open, CONCURRENCY, async (udid) => {
        const found = assigned.get(udid);
        try {
          if (found !== undefined && (await this.#tell(udid, found, held, change))) told.push(udid);
        } catch (error) {
          // The others go on; the caller hears of this one.
          change.missed.push(udid);
          this.#options.onMissed(udid, error);
        }
      });
      open = told;
    }
    for (const udid of open) {
      change.missed.push(udid);
      this.#options.onMissed(udid, new Unavailable('manifest-contended', 'others kept changing this device'));
    }
  }

  /** Whether a manifest was handed over. */
  async #tell(udid: Udid, assigned: Assigned, held: Map<Udid, string>, change: HoldChange): Promise<boolean> {
    const { devices, sha256Hex } = this.#options;
    const object = devices.of(udid);
    const before = held.get(udid);
    // Anew in each pass, as the assignments are: the device may have become another meanwhile.
    const device = await object.describe();
    if (device === null) return false;
    const { catalogs, nowMs } = change;
    const entries = entriesOf(await compileManifest(udid, assigned, device, { catalogs, sha256Hex }));
    const token = await sha256Hex(utf8(manifestContent(entries)));
    if (before === token) return false;
    // A device that never held anything has nothing to be told of.
    if (before === undefined && entries.length === 0 && device.declarations.length === 0) return false;
    await object.setManifest(entries, token, nowMs);
    held.set(udid, token);
    return true;
  }
}

interface HoldChange {
  readonly catalogs: Catalogs;
  readonly nowMs: EpochMs;
  readonly missed: Udid[];
}
