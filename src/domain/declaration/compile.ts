/**
 * What one device is to hold: the union of its sets' declarations, of watch enrollment's, and of the server's own for
 * it (subscriptions, properties), without what it cannot take. What is withheld stays visible with the rule: its
 * platform or OS version (the catalog), its client capabilities (what it reported), a variable without a value, or
 * the size of a manifest. An activation is not withheld with a configuration that is: it fails on the device, which
 * says so. Supervision is left to the device too.
 */
import { type KindCatalog, loadCatalog } from '../../protocol/catalog/catalog.ts';
import { entryUnsupported, type SupportRule } from '../../protocol/catalog/support.ts';
import { DECLARATION_KINDS } from '../../protocol/ddm/endpoint.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { DeviceDescription } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import { type Capabilities, parseCapabilities } from './capabilities.ts';
import type { Assigned, AssignedDeclaration } from './library-ports.ts';
import type { DeclarationKind, ManifestEntry } from './manifest.ts';
import type { Sha256Hex } from './ports.ts';
import { propertiesDeclaration } from './properties.ts';
import { serverTokenOf } from './server-token.ts';
import { shardOf } from './shard.ts';
import { subscriptionDeclarations } from './subscriptions.ts';
import { substitute } from './variables.ts';
import { heldWatchEnrollment } from './watch-enrollment.ts';

/** 20 sets of 200 declarations: some 500 KB of declaration items. */
export const MANIFEST_ENTRIES_MAX = 4000;

/** The setting that the server made a declaration of. */
export type Setting = 'watch-enrollment' | 'subscriptions' | 'properties';

export interface Withheld {
  readonly rule: SupportRule | 'capabilities' | 'variable' | 'size';
  /** For people: `watchOS 26.4 or later`. */
  readonly expected: string;
}

export interface CompiledDeclaration extends ManifestEntry {
  readonly type: string;
  /** For this device; null when every device has the one that is stored. */
  readonly payload: JsonObject | null;
  readonly origin: { readonly sets: readonly string[]; readonly setting: Setting | null };
  readonly withheld: Withheld | null;
}

export interface Catalogs {
  readonly declarations: ReadonlyMap<DeclarationKind, KindCatalog>;
  readonly status: KindCatalog;
}

export async function loadCatalogs(): Promise<Catalogs> {
  const loaded = DECLARATION_KINDS.map(async (kind) => [kind, await loadCatalog(kind)] as const);
  return { declarations: new Map(await Promise.all(loaded)), status: await loadCatalog('status') };
}

export type CompiledFor = Pick<DeviceDescription, 'platform' | 'osVersion' | 'serial' | 'capabilities'> & {
  /** What it is to hold before. */
  readonly declarations: readonly ManifestEntry[];
};

/** In order of kind and identifier, each once. */
export async function compileManifest(
  udid: Udid,
  assigned: Assigned,
  device: CompiledFor,
  { catalogs, sha256Hex }: { readonly catalogs: Catalogs; readonly sha256Hex: Sha256Hex },
): Promise<readonly CompiledDeclaration[]> {
  const capabilities = parseCapabilities(device.capabilities);
  const compiled: CompiledDeclaration[] = [];
  for (const { declaration, origin } of wanted(udid, assigned, device, { capabilities, catalogs })) {
    const rendered = await render(
      declaration,
      { udid, serial: device.serial, properties: assigned.properties },
      sha256Hex,
    );
    const withheld = rendered.withheld ?? unsupported(declaration, device, capabilities, catalogs);
    const { kind, identifier, type } = declaration;
    const { payload, serverToken } = rendered;
    compiled.push({ kind, identifier, type, payload, serverToken, origin, withheld });
  }
  compiled.sort((a, b) => compare(a.kind, b.kind) || compare(a.identifier, b.identifier));
  return withinSize(compiled);
}

/** What the device's manifest holds of it. */
export function entriesOf(compiled: readonly CompiledDeclaration[]): readonly ManifestEntry[] {
  return compiled
    .filter((one) => one.withheld === null)
    .map(({ kind, identifier, serverToken }) => ({ kind, identifier, serverToken }));
}

/** The sets that a device has, in alphabetical order: its own, and its groups' up to its shard. */
export function setsFor(udid: Udid, assigned: Assigned): readonly string[] {
  const shard = shardOf(udid);
  const names = assigned.memberships.filter((one) => shard < one.percent).map((one) => one.set);
  return [...new Set(names)].sort();
}

interface Wanted {
  readonly declaration: AssignedDeclaration;
  readonly origin: CompiledDeclaration['origin'];
}

function wanted(
  udid: Udid,
  assigned: Assigned,
  device: CompiledFor,
  known: { readonly capabilities: Capabilities; readonly catalogs: Catalogs },
): Iterable<Wanted> {
  const all = new Map<string, Wanted>();
  for (const set of setsFor(udid, assigned)) {
    for (const declaration of assigned.sets.get(set) ?? []) {
      const sets = all.get(declaration.identifier)?.origin.sets ?? [];
      all.set(declaration.identifier, { declaration, origin: { sets: [...sets, set], setting: null } });
    }
  }
  const add = (declarations: readonly AssignedDeclaration[], setting: Setting) => {
    for (const declaration of declarations)
      all.set(declaration.identifier, { declaration, origin: { sets: [], setting } });
  };
  // Everyone's is the phones': a watch could not make anything of it.
  if (device.platform === 'iOS')
    add(assigned.watchEnrollment ?? heldWatchEnrollment(device.declarations), 'watch-enrollment');
  add(propertiesDeclaration(assigned.properties), 'properties');
  add(
    subscriptionDeclarations(assigned.subscriptions, device, known.capabilities, known.catalogs.status),
    'subscriptions',
  );
  return all.values();
}

/** Of what has no content for a device. */
export const NO_TOKEN = '';

interface Rendered {
  readonly payload: JsonObject | null;
  readonly serverToken: string;
  readonly withheld: Withheld | null;
}

async function render(
  declaration: AssignedDeclaration,
  facts: Parameters<typeof substitute>[1],
  sha256Hex: Sha256Hex,
): Promise<Rendered> {
  const { type, identifier, content } = declaration;
  if (!('payload' in content)) return { payload: null, serverToken: content.serverToken, withheld: null };
  const filled = content.templated ? substitute(content.payload, facts) : { payload: content.payload };
  if ('missing' in filled) {
    const expected = `a value for ${filled.missing.map((name) => `\${${name}}`).join(', ')}`;
    return { payload: null, serverToken: NO_TOKEN, withheld: { rule: 'variable', expected } };
  }
  const { payload } = filled;
  const serverToken = await serverTokenOf({ type, identifier, payload }, content.salt, sha256Hex);
  return { payload, serverToken, withheld: null };
}

/** A type that the catalog does not know is given to everyone: its author allowed it. */
function unsupported(
  { kind, type }: AssignedDeclaration,
  { platform, osVersion }: CompiledFor,
  capabilities: Capabilities,
  { declarations }: Catalogs,
): Withheld | null {
  const entry = declarations.get(kind)?.find(type) ?? null;
  const refused = entry === null ? null : entryUnsupported(entry, { platform, osVersion });
  if (refused !== null) return { rule: refused.rule, expected: refused.expected };
  if (capabilities.takes(kind, type)) return null;
  return { rule: 'capabilities', expected: `a device that reports ${type} among its capabilities` };
}

/** The server's own come first: sets that are too much for a phone must not take watch enrollment from it. */
function withinSize(compiled: readonly CompiledDeclaration[]): readonly CompiledDeclaration[] {
  const size = { rule: 'size', expected: `at most ${MANIFEST_ENTRIES_MAX} declarations` } as const;
  const isOwn = ({ origin }: CompiledDeclaration) => origin.setting !== null;
  let held = compiled.filter((one) => isOwn(one) && one.withheld === null).length;
  return compiled.map((one) =>
    one.withheld === null && !isOwn(one) && ++held > MANIFEST_ENTRIES_MAX ? { ...one, withheld: size } : one,
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
