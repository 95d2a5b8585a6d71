/**
 * What an administrator declared, kept beside the server, and what each device should make of it: what it holds, which
 * of it is active, and why not. Conditions are written twice, as the predicate that the device gets and as a function
 * here, so that neither evaluator judges itself.
 */
import type { Json } from '../../support/front-door.ts';

export type Kind = 'activation' | 'configuration' | 'management';

export interface Declared {
  readonly name: string;
  readonly kind: Kind;
  readonly type: string;
  readonly payload: Json;
  /** Each touch makes another server token. */
  readonly touches: number;
}

/** Of one device, what conditions ask about. */
export interface Circumstances {
  readonly isWatch: boolean;
  present: boolean;
  integer: number;
  text: string;
}

/** What a device should report of one declaration; `code` is the reason's. */
export interface Expected {
  readonly declared: Declared;
  readonly active: boolean;
  readonly valid: 'valid' | 'invalid';
  readonly code: string | null;
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
export const PROPERTIES = 'com.apple.management.properties';

export class Model {
  readonly declared = new Map<string, Declared>();
  readonly sets = new Map<string, Set<string>>();
  /** Names of sets by UDID. */
  readonly assigned = new Map<string, Set<string>>();
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

  /** What the device is given: what its sets hold and its OS version takes. */
  heldBy(udid: string): ReadonlyMap<string, Declared> {
    const all = [...this.#assignedTo(udid)].filter(({ type }) => !this.#isWithheld(type, udid));
    return new Map(all.map((one) => [one.name, one]));
  }

  withheldFrom(udid: string): readonly string[] {
    return [...this.#assignedTo(udid)]
      .filter(({ type }) => this.#isWithheld(type, udid))
      .map(({ name }) => name)
      .sort();
  }

  expectedOf(udid: string): ReadonlyMap<string, Expected> {
    const held = this.heldBy(udid);
    const activations = [...held.values()].filter(({ kind }) => kind === 'activation');
    const active = activations.filter((one) => this.#judge(one, held, udid) === null);
    const used = new Set(active.flatMap(referencesOf));
    return new Map([...held].map(([name, one]) => [name, this.#expect(one, held, used, udid)]));
  }

  #expect(
    declared: Declared,
    held: ReadonlyMap<string, Declared>,
    used: ReadonlySet<string>,
    udid: string,
  ): Expected {
    if (declared.kind === 'management') return { declared, active: false, valid: 'valid', code: null };
    if (declared.kind === 'configuration') {
      const active = used.has(declared.name);
      return { declared, active, valid: 'valid', code: active ? null : 'Info.NotReferencedByActivation' };
    }
    const code = this.#judge(declared, held, udid);
    const valid = code === null || code.startsWith('Info.') ? 'valid' : 'invalid';
    return { declared, active: code === null, valid, code };
  }

  /** Null when the activation is active. */
  #judge(one: Declared, held: ReadonlyMap<string, Declared>, udid: string): string | null {
    if (!referencesOf(one).every((name) => held.has(name))) return 'Error.MissingConfigurations';
    const circumstances = this.circumstances.get(udid);
    const condition = CONDITIONS.find(({ text }) => text === (one.payload['Predicate'] ?? null));
    if (circumstances === undefined || condition === undefined) throw new Error(`cannot judge ${one.name}`);
    const all = [...held.values()].filter(({ kind }) => kind === 'management');
    const properties = Object.assign({}, ...all.map(({ payload }) => payload)) as Properties;
    return condition.holds(circumstances, properties) ? null : 'Info.Predicate';
  }

  #assignedTo(udid: string): Set<Declared> {
    const names = [...(this.assigned.get(udid) ?? [])].flatMap((set) => [...(this.sets.get(set) ?? [])]);
    return new Set(names.map((name) => this.declared.get(name)).filter((one) => one !== undefined));
  }

  /** The phone has iOS 27; the watches are older than what they would need for this. */
  #isWithheld(type: string, udid: string): boolean {
    return type === SIRI && this.circumstances.get(udid)?.isWatch === true;
  }
}

/** Names, as the payload's identifiers stand for them. */
export function referencesOf({ kind, payload }: Declared): readonly string[] {
  if (kind !== 'activation') return [];
  return (payload['StandardConfigurations'] as string[]).map(
    (identifier) => identifier.split('.').at(-1) ?? '',
  );
}
