/**
 * Everything that the policy of some devices comes from, read for all of them at once: their manifests, the payloads
 * and profiles behind them, what commands installed, what they reported and answered.
 */
import type { PolicyWarning } from '../admin/policy-services.ts';
import type { CompiledDeclaration } from '../declaration/compile.ts';
import type { AssignmentSource, LibraryStore } from '../declaration/library-ports.ts';
import type { ManifestCompiler } from '../declaration/manifest-compiler.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import { type InstalledOptions, installedOn } from './commanded.ts';
import { type Contributions, contributionsOf, targetOf } from './contributions.ts';
import type { Evidence } from './in-force.ts';
import { OBSERVED_SECTIONS, observedPolicy } from './observed.ts';
import { openDeclared } from './opening.ts';
import type { PolicyInventory } from './ports.ts';
import type { PolicyCatalog } from './settings.ts';
import { heldOf, isPolicyType, type PolicySource, sourcesOf } from './sources.ts';
import { sourceWarnings, withheldWarnings } from './warnings.ts';

export interface GatherOptions {
  readonly devices: Devices;
  readonly assignments: AssignmentSource;
  readonly manifests: Pick<ManifestCompiler, 'compileAssigned'>;
  readonly library: Pick<LibraryStore, 'payloads'>;
  readonly profiles: InstalledOptions;
  readonly inventory: PolicyInventory;
}

/** One device with everything that its own rows come from. */
export interface Side {
  readonly udid: Udid;
  readonly description: DeviceDescription;
  readonly sources: readonly PolicySource[];
  readonly contributions: Contributions;
  readonly evidence: Evidence;
  readonly warnings: readonly PolicyWarning[];
}

/** In the order of the devices. */
export async function gather(
  asked: ReadonlyMap<Udid, DeviceDescription>,
  catalog: PolicyCatalog,
  options: GatherOptions,
): Promise<readonly Side[]> {
  const { devices, library, profiles, inventory } = options;
  const udids = [...asked.keys()];
  // What the objects have not yet told is told now: an answer that just came counts.
  await Promise.all(udids.map((udid) => devices.of(udid).flush()));
  const [compiled, ordered, records, items] = await Promise.all([
    compileAll(asked, options),
    installedOn(asked, profiles),
    inventory.sectionsOf(asked, OBSERVED_SECTIONS),
    Promise.all(udids.map(async (udid) => [udid, await devices.of(udid).statusItems()] as const)),
  ]);
  const reported = new Map(items);
  const payloads = await library.payloads(sharedPayloads(compiled));
  const manifested = [...compiled.values()].map((list) => ({ compiled: list, payloads }));
  const declared = await openDeclared(manifested, profiles);
  return [...asked].map(([udid, description]) => {
    const list = compiled.get(udid) ?? [];
    const installed = ordered.get(udid) ?? [];
    const sources = sourcesOf({ udid, description, compiled: list, payloads, declared, installed });
    const contributions = contributionsOf(sources, targetOf(description), catalog);
    const evidence = {
      items: new Map((reported.get(udid) ?? []).map((item) => [item.name, item])),
      observed: observedPolicy(records.get(udid) ?? []),
      changedAtMs: description.manifestChangedAtMs,
    };
    const own: readonly PolicyWarning[] =
      description.state === 'checked-out' ? [{ kind: 'device-checked-out' }] : withheldWarnings(list);
    const warnings = [...own, ...sourceWarnings(sources, contributions)];
    return { udid, description, sources, contributions, evidence, warnings };
  });
}

async function compileAll(
  asked: ReadonlyMap<Udid, DeviceDescription>,
  { assignments, manifests }: GatherOptions,
): Promise<ReadonlyMap<Udid, readonly CompiledDeclaration[]>> {
  const assigned = await assignments.assigned([...asked.keys()]);
  const compiling = [...asked].map(async ([udid, description]) => {
    const own = assigned.get(udid);
    const list = own === undefined ? [] : await manifests.compileAssigned(udid, own, description);
    return [udid, list] as const;
  });
  return new Map(await Promise.all(compiling));
}

/** Identifiers of what every device has alike, as far as it sets rules or says which do. */
function sharedPayloads(compiled: ReadonlyMap<Udid, readonly CompiledDeclaration[]>): readonly string[] {
  const shared = [...compiled.values()].flatMap((list) =>
    heldOf(list).filter(
      (one) => one.payload === null && (one.kind === 'activation' || isPolicyType(one.type)),
    ),
  );
  return [...new Set(shared.map((one) => one.identifier))];
}
