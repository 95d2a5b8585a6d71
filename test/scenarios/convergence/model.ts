/**
 * What an administrator declared, kept beside the server, and what each device should make of it: what it holds, which
 * of it is active, and why not. Conditions are written twice, as the predicate that the device gets and as a function
 * here, so that neither evaluator judges itself. Only the shard of a device is taken from the server.
 */
import { shardOf } from '../../../src/domain/declaration/shard.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import type { Json } from '../../support/front-door.ts';

export type Kind = 'activation' | 'configuration' | 'asset' | 'management';

export interface Declared {
  readonly name: string;
  readonly kind: Kind;
  readonly type: string;
  /** Of an asset, its data: the server makes the payload. */
  readonly payload: Json;
  /** Each touch makes another server token, and so does each upload of other data. */
  readonly touches: number;
}

/** Of one device, what conditions ask about, and what administrators say of it. */
export interface Circumstances {
  readonly isWatch: boolean;
  readonly udid: Udid;
  readonly serial: string;
  properties: Readonly<Record<string, string | number>>;
  present: boolean;
  integer: number;
  text: string;
}

/** What a device should report of one declaration; `codes` are the reasons'. */
export interface Expected {
  readonly declared: Declared;
  readonly active: boolean;
  readonly valid: 'valid' | 'invalid';
  readonly codes: readonly string[];
}

type Properties = Readonly<Record<string, unknown>>;

export const CONDITIONS: readonly {
  readonly text: string | null;
  readonly holds: (of: Circumstances, properties: Properties) => boolean;
}[] = [
  { text: null, holds: () => true },
  { text: 'TRUEPREDICATE', holds: () => true },
  { text: '@status(passcode.is-present) == TRUE', holds: ({ present }) => present },
  {
    text: '@status(test.integer-value) BETWEEN {2, 4}',
    holds: ({ integer }) => integer >= 2 && integer <= 4,
  },
  { text: "@status(test.string-value) IN {'red', 'green'}", holds: ({ text }) => text !== 'blue' },
  { text: "@status(device.model.family) == 'Watch'", holds: ({ isWatch }) => isWatch },
  { text: "@property(stage) == 'on'", holds: (_of, { stage }) => stage === 'on' },
  { text: '@property(ring) >= 2', holds: (_of, { ring }) => Number(ring ?? 0) >= 2 },
  {
    text: "NOT (@status(passcode.is-present) == NO OR @status(test.string-value) BEGINSWITH 'b')",
    holds: ({ present, text }) => present && text !== 'blue',
  },
  {
    text: "@status(test.integer-value) > 2 AND (@property(stage) != 'off' OR @status(test.string-value) LIKE '*d')",
    holds: ({ integer, text }, { stage }) => integer > 2 && (stage !== 'off' || text === 'red'),
  },
];

export const TEST = 'com.apple.configuration.management.test';
export const SIRI = 'com.apple.configuration.siri.settings';
export const SIMPLE = 'com.apple.activation.simple';
export const DATA = 'com.apple.asset.data';
export const PROPERTIES = 'com.apple.management.properties';

export class Model {
  readonly declared = new Map<string, Declared>();
  readonly sets = new Map<string, Set<string>>();
  /** Names of sets by UDID. */
  readonly assigned = new Map<string, Set<string>>();
  /** UDIDs by name. */
  readonly groups = new Map<string, Set<string>>();
  /** By set, the percentage for each group. */
  readonly rollouts = new Map<string, Map<string, number>>();
  readonly circumstances = new Map<string, Circumstances>();

  declare(one: Omit<Declared, 'touches'>): void {
    this.declared.set(one.name, { ...one, touches: this.declared.get(one.name)?.touches ?? 0 });
  }

  touch(name: string): void {
    const one = this.declared.get(name);
    if (one !== undefined) this.declared.set(name, { ...one, touches: one.touches + 1 });
  }

  isUsed(name: string): boolean {
    const inSet = [...this.sets.values()].some((names) => names.has(name));
    return inSet || [...this.declared.values()].some((one) => referencesOf(one).includes(name));
  }

  /** Of the configurations that there are, sorted. */
  get configurations(): readonly string[] {
    return [...this.declared.values()]
      .filter(({ kind }) => kind === 'configuration')
      .map(({ name }) => name)
      .sort();
  }

  /** What the device is given: what its sets hold, its OS version takes, and its variables fill. */
  heldBy(udid: string): ReadonlyMap<string, Declared> {
    return new Map(this.#given(udid).flatMap((one) => (one.held === null ? [] : [[one.name, one.held]])));
  }

  withheldFrom(udid: string): readonly string[] {
    return this.#given(udid)
      .filter(({ held }) => held === null)
      .map(({ name }) => name)
      .sort();
  }

  /** What stands for all that the device holds, the server's own declaration of its properties included. */
  contentOf(udid: string): string {
    const held = [...this.heldBy(udid).values()].map(keyOf).sort();
    return JSON.stringify([held, sorted(this.#of(udid).properties)]);
  }

  expectedOf(udid: string): ReadonlyMap<string, Expected> {
    const held = this.heldBy(udid);
    const activations = [...held.values()].filter(({ kind }) => kind === 'activation');
    const active = activations.filter((one) => this.#judge(one, held, udid) === null);
    const activated = new Set(active.flatMap(referencesOf));
    const working = [...held.values()].filter(
      (one) => one.kind === 'configuration' && activated.has(one.name) && isWhole(one, held),
    );
    const used = new Set([...activated, ...working.flatMap(referencesOf)]);
    return new Map([...held].map(([name, one]) => [name, this.#expect(one, held, used, udid)]));
  }

  #expect(
    declared: Declared,
    held: ReadonlyMap<string, Declared>,
    used: ReadonlySet<string>,
    udid: string,
  ): Expected {
    const isUsed = used.has(declared.name);
    switch (declared.kind) {
      case 'management':
        return { declared, active: false, valid: 'valid', codes: [] };
      case 'asset': {
        const codes = isUsed ? [] : ['Info.NotReferencedByConfiguration'];
        return { declared, active: isUsed, valid: 'valid', codes };
      }
      case 'configuration': {
        const whole = isWhole(declared, held);
        const codes = [
          whole ? [] : ['Error.MissingAssets'],
          isUsed ? [] : ['Info.NotReferencedByActivation'],
        ];
        return { declared, active: isUsed && whole, valid: whole ? 'valid' : 'invalid', codes: codes.flat() };
      }
      case 'activation': {
        const code = this.#judge(declared, held, udid);
        const valid = code === null || code.startsWith('Info.') ? 'valid' : 'invalid';
        return { declared, active: code === null, valid, codes: code === null ? [] : [code] };
      }
    }
  }

  /** Null when the activation is active. */
  #judge(one: Declared, held: ReadonlyMap<string, Declared>, udid: string): string | null {
    if (!referencesOf(one).every((name) => held.has(name))) return 'Error.MissingConfigurations';
    const circumstances = this.#of(udid);
    const condition = CONDITIONS.find(({ text }) => text === (one.payload['Predicate'] ?? null));
    if (condition === undefined) throw new Error(`cannot judge ${one.name}`);
    const all = [...held.values()].filter(({ kind }) => kind === 'management');
    const declared = all.map(({ payload }) => payload);
    const properties = Object.assign({}, ...declared, circumstances.properties) as Properties;
    return condition.holds(circumstances, properties) ? null : 'Info.Predicate';
  }

  #of(udid: string): Circumstances {
    const found = this.circumstances.get(udid);
    if (found === undefined) throw new Error(`${udid} is in no story`);
    return found;
  }

  #setsOf(udid: string): ReadonlySet<string> {
    const shard = shardOf(this.#of(udid).udid);
    const byGroup = [...this.rollouts].filter(([, groups]) =>
      [...groups].some(([group, percent]) => shard < percent && this.groups.get(group)?.has(udid)),
    );
    return new Set([...(this.assigned.get(udid) ?? []), ...byGroup.map(([set]) => set)]);
  }

  #given(udid: string): readonly { readonly name: string; readonly held: Declared | null }[] {
    const of = this.#of(udid);
    const names = new Set([...this.#setsOf(udid)].flatMap((set) => [...(this.sets.get(set) ?? [])]));
    return [...names].flatMap((name) => {
      const one = this.declared.get(name);
      if (one === undefined) return [];
      // The phone has iOS 27; the watches are older than what they would need for this.
      const payload = one.type === SIRI && of.isWatch ? null : filled(one, of);
      return [{ name, held: payload === null ? null : { ...one, payload } }];
    });
  }
}

/** With the device's values for variables; null where it lacks one. */
function filled({ payload }: Declared, { udid, serial, properties }: Circumstances): Json | null {
  const text = payload['Echo'];
  if (typeof text !== 'string') return payload;
  const values: Record<string, string | number | undefined> = {
    udid,
    serial,
    'property.team': properties['team'],
  };
  const names = [...text.matchAll(/\$\{([^}]*)\}/g)].map(([, name]) => String(name));
  if (names.some((name) => values[name] === undefined)) return null;
  return { ...payload, Echo: text.replace(/\$\{([^}]*)\}/g, (_all, name: string) => String(values[name])) };
}

/** What stands for a declaration's content and its touches. */
export function keyOf({ name, type, payload, touches }: Declared): string {
  return JSON.stringify([name, type, sorted(payload), touches]);
}

function sorted(record: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}

function isWhole(one: Declared, held: ReadonlyMap<string, Declared>): boolean {
  return referencesOf(one).every((name) => held.has(name));
}

/** Names, as the payload's identifiers stand for them. */
export function referencesOf({ kind, payload }: Declared): readonly string[] {
  const { StandardConfigurations: configurations, EchoDataAssetReference: asset } = payload;
  const identifiers = kind === 'activation' ? (configurations as string[]) : [];
  const all = kind === 'configuration' && typeof asset === 'string' ? [asset] : identifiers;
  return all.map((identifier) => identifier.split('.').at(-1) ?? '');
}
