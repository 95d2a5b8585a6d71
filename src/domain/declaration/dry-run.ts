/**
 * What a change would do, device by device, without doing it: what each would get, lose and be denied, and which
 * activations would then hold, judged by the device's last status. Nothing is stored and nobody is told. One page
 * looks at some devices and lists those that would change, so an empty page may have a successor.
 */

import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import { parsePredicate } from '../../protocol/ddm/predicate/parse.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { UnknownGroup } from '../admin/declaration-services.ts';
import type {
  ActivationForecast,
  DryRunner,
  DryRunRefusal,
  ForecastChange,
  ManifestForecast,
  ProposedChange,
} from '../admin/dry-run-services.ts';
import type { Page, PageQuery, UnknownDevice } from '../admin/services.ts';
import type { Devices } from '../enrollment/device.ts';
import { parseUdid, type Udid } from '../ids.ts';
import type { CompiledDeclaration } from './compile.ts';
import { type AssignmentTarget, type Hypothesis, suppose } from './hypothesis.ts';
import type { Declarations } from './library.ts';
import type {
  Assigned,
  AssignedDeclaration,
  AssignmentSource,
  GroupStore,
  LibraryStore,
  MemberStore,
  SetStore,
} from './library-ports.ts';
import { type ManifestEntry, RESERVED_PREFIX } from './manifest.ts';
import type { ManifestCompiler } from './manifest-compiler.ts';
import { evaluatePredicate } from './predicate-eval.ts';
import { parseSetName, SETS_MAX } from './sets.ts';
import type { StatusItem } from './status-merge.ts';

/** Each has its object asked twice and its manifest compiled twice. */
const DEVICES_PER_PAGE_MAX = 50;
const PROPERTIES = 'com.apple.management.properties';

export interface DryRunOptions {
  readonly devices: Devices;
  readonly source: AssignmentSource;
  readonly members: MemberStore;
  readonly library: Pick<LibraryStore, 'assigned' | 'payloads'>;
  readonly declarations: Pick<Declarations, 'propose'>;
  readonly sets: Pick<SetStore, 'find' | 'setsOf' | 'setsOfGroup'>;
  readonly groups: Pick<GroupStore, 'find'>;
  readonly manifests: Pick<ManifestCompiler, 'compileAssigned'>;
  readonly isKnown: (udid: Udid) => Promise<boolean>;
}

type Concerned = (page: PageQuery) => Promise<readonly Udid[]>;
type Proposal = { readonly hypothesis: Hypothesis; readonly concerned: Concerned };

export class DryRuns implements DryRunner {
  readonly #options: DryRunOptions;

  constructor(options: DryRunOptions) {
    this.#options = options;
  }

  async forecast(
    change: ProposedChange,
    page: PageQuery,
  ): Promise<Outcome<Page<ManifestForecast>, DryRunRefusal>> {
    if (page.cursor !== null && !parseUdid(page.cursor).ok) return refuse({ kind: 'malformed-cursor' });
    const proposal = await this.#propose(change);
    if (!proposal.ok) return proposal;
    const { hypothesis, concerned } = proposal.value;
    const limit = Math.min(page.limit, DEVICES_PER_PAGE_MAX);
    const udids = await concerned({ cursor: page.cursor, limit: limit + 1 });
    const looked = udids.slice(0, limit);
    const assigned = await this.#options.source.assigned(looked);
    const forecasts = await Promise.all(
      looked.map((udid) => this.#forecast(udid, assigned.get(udid) as Assigned, hypothesis)),
    );
    const items = forecasts.filter((one) => one !== null);
    return ok({ items, cursor: udids.length > limit ? (looked.at(-1) ?? null) : null });
  }

  async #propose(change: ProposedChange): Promise<Outcome<Proposal, DryRunRefusal>> {
    const { members } = this.#options;
    switch (change.kind) {
      case 'declaration':
        return this.#proposeDeclaration(change);
      case 'set': {
        const parsed = parseSetName(change.name);
        if (!parsed.ok) return parsed;
        const declarations = await this.#declarations(change.declarations);
        if (!declarations.ok) return declarations;
        const hypothesis = { kind: 'set', name: change.name, declarations: declarations.value } as const;
        return ok({ hypothesis, concerned: (page) => members.ofSet(change.name, page) });
      }
      case 'assign':
      case 'unassign':
        return this.#proposeAssignment(change);
      case 'properties': {
        const { udid, properties } = change;
        if (!(await this.#options.isKnown(udid))) return refuse({ kind: 'unknown-device', udid });
        return ok({ hypothesis: { kind: 'properties', udid, properties }, concerned: only(udid) });
      }
      default:
        return change satisfies never;
    }
  }

  async #proposeDeclaration(
    change: Extract<ProposedChange, { kind: 'declaration' }>,
  ): Promise<Outcome<Proposal, DryRunRefusal>> {
    const { declarations, members } = this.#options;
    const proposed = await declarations.propose(change.identifier, change.input);
    if (!proposed.ok) return proposed;
    const { identifier } = proposed.value;
    return ok({
      hypothesis: { kind: 'declaration', declaration: proposed.value },
      concerned: (page) => members.ofDeclaration(identifier, page),
    });
  }

  async #proposeAssignment(
    change: Extract<ProposedChange, { kind: 'assign' | 'unassign' }>,
  ): Promise<Outcome<Proposal, DryRunRefusal>> {
    const { members, sets } = this.#options;
    const { set, target } = change;
    const known = await sets.find(set);
    if (known === null) return refuse({ kind: 'unknown-set', name: set });
    const hindrance = await this.#targetHindrance(target);
    if (hindrance !== null) return refuse(hindrance);
    const concerned: Concerned =
      target.kind === 'device' ? only(target.udid) : (page) => members.ofGroup(target.name, page);
    if (change.kind === 'unassign') return ok({ hypothesis: { kind: 'unassign', set, target }, concerned });
    const held =
      target.kind === 'device' ? await sets.setsOf(target.udid) : await sets.setsOfGroup(target.name);
    if (!held.includes(set) && held.length >= SETS_MAX)
      return refuse({
        kind: target.kind === 'device' ? 'device-sets-full' : 'group-sets-full',
        setsMax: SETS_MAX,
      });
    const declarations = await this.#options.library.assigned(known.declarations);
    return ok({ hypothesis: { kind: 'assign', set, target, declarations }, concerned });
  }

  async #targetHindrance(target: AssignmentTarget): Promise<UnknownGroup | UnknownDevice | null> {
    const { devices, groups, isKnown } = this.#options;
    if (target.kind === 'group') {
      const { name } = target;
      return (await groups.find(name)) === null ? { kind: 'unknown-group', name } : null;
    }
    const { udid } = target;
    const known = (await isKnown(udid)) && (await devices.of(udid).describe()) !== null;
    return known ? null : { kind: 'unknown-device', udid };
  }

  async #declarations(
    identifiers: readonly string[],
  ): Promise<Outcome<readonly AssignedDeclaration[], DryRunRefusal>> {
    const found = await this.#options.library.assigned(identifiers);
    const names = new Set(found.map((one) => one.identifier));
    const unknown = identifiers.filter((name) => !names.has(name) || name.startsWith(RESERVED_PREFIX));
    return unknown.length > 0 ? refuse({ kind: 'unknown-declarations', identifiers: unknown }) : ok(found);
  }

  /** Null for a device that would stay as it is. */
  async #forecast(udid: Udid, assigned: Assigned, hypothesis: Hypothesis): Promise<ManifestForecast | null> {
    const { devices, manifests } = this.#options;
    const device = await devices.of(udid).describe();
    if (device === null) return null;
    const supposed = suppose(assigned, hypothesis);
    const next = await manifests.compileAssigned(udid, supposed, device);
    const changes = compare(device.declarations, next);
    const before = await manifests.compileAssigned(udid, assigned, device);
    const denied = (list: readonly CompiledDeclaration[]) =>
      canonicalJson(list.flatMap((one) => (one.withheld === null ? [] : [one.identifier])));
    if (changes.length === 0 && denied(before) === denied(next)) return null;
    const withheld = next.flatMap(({ identifier, withheld }) =>
      withheld === null ? [] : [{ identifier, rule: withheld.rule, expected: withheld.expected }],
    );
    return { udid, changes, withheld, activations: await this.#activations(udid, next) };
  }

  /** Of each activation that the device would hold, whether it would hold now. */
  async #activations(
    udid: Udid,
    next: readonly CompiledDeclaration[],
  ): Promise<readonly ActivationForecast[]> {
    const given = next.filter((one) => one.withheld === null);
    const payloads = await this.#payloads(given);
    const properties: JsonObject = {};
    for (const one of given)
      if (one.type === PROPERTIES) Object.assign(properties, payloads.get(one.identifier));
    const items = (await this.#options.devices.of(udid).statusItems()) ?? [];
    const context = { status: nested(items), properties };
    const configurations = given.filter((one) => one.kind === 'configuration').map((one) => one.identifier);
    return given
      .filter((one) => one.kind === 'activation')
      .map(({ identifier }) => {
        const { Predicate, StandardConfigurations } = payloads.get(identifier) ?? {};
        if (!isWithin(StandardConfigurations, new Set(configurations)))
          return { identifier, active: false, doubt: 'missing-configurations' };
        return forecastActivation(identifier, Predicate, context);
      });
  }

  async #payloads(given: readonly CompiledDeclaration[]): Promise<ReadonlyMap<string, JsonObject>> {
    const judged = given.filter((one) => one.kind === 'activation' || one.type === PROPERTIES);
    const stored = judged.filter((one) => one.payload === null).map((one) => one.identifier);
    const payloads = new Map(await this.#options.library.payloads(stored));
    for (const one of judged) if (one.payload !== null) payloads.set(one.identifier, one.payload);
    return payloads;
  }
}

function only(udid: Udid): Concerned {
  return async (page) => (page.cursor === null ? [udid] : []);
}

function compare(
  held: readonly ManifestEntry[],
  next: readonly CompiledDeclaration[],
): readonly ForecastChange[] {
  const before = new Map(held.map((one) => [one.identifier, one]));
  const given = next.filter((one) => one.withheld === null);
  const kept = new Set(given.map((one) => one.identifier));
  const changes = given.flatMap(({ identifier, kind, serverToken }): ForecastChange[] => {
    const old = before.get(identifier);
    if (old === undefined) return [{ identifier, kind, change: 'add' }];
    return old.serverToken === serverToken && old.kind === kind
      ? []
      : [{ identifier, kind, change: 'replace' }];
  });
  const removed = held.filter((one) => !kept.has(one.identifier));
  return [
    ...changes,
    ...removed.map(({ identifier, kind }): ForecastChange => ({ identifier, kind, change: 'remove' })),
  ];
}

/** Without one of its configurations an activation fails on the device as a whole. */
function isWithin(configurations: JsonValue | undefined, given: ReadonlySet<string>): boolean {
  return Array.isArray(configurations) && configurations.every((one) => given.has(String(one)));
}

function forecastActivation(
  identifier: string,
  predicate: JsonValue | undefined,
  context: Parameters<typeof evaluatePredicate>[1],
): ActivationForecast {
  if (typeof predicate !== 'string') return { identifier, active: true, doubt: null };
  const parsed = parsePredicate(predicate);
  if (!parsed.ok) return { identifier, active: null, doubt: 'malformed-predicate' };
  const verdict = evaluatePredicate(parsed.value, context);
  if (verdict.value !== 'unknown') return { identifier, active: verdict.value, doubt: null };
  return { identifier, active: null, doubt: verdict.why.kind };
}

/** Status items by their names' parts, as the device's report nests them. */
function nested(items: readonly StatusItem[]): JsonObject {
  const root: JsonObject = {};
  for (const { name, value } of items) {
    if (value === null) continue;
    const path = name.split('.');
    const last = path.pop() as string;
    let at = root;
    for (const part of path) {
      const inner = Object.hasOwn(at, part) ? at[part] : undefined;
      const next: JsonObject =
        typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? inner : {};
      at[part] = next;
      at = next;
    }
    at[last] = JSON.parse(value) as JsonValue;
  }
  return root;
}
