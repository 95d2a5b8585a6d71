/**
 * Content against the catalog. Every problem names its place, what was expected and the rule it breaks, among them
 * the platform and version where a key exists. Types and keys that the catalog does not know are refused unless
 * allowed: Apple adds some every year, and more often a name is misspelled.
 *
 * A declaration's content is its `Payload`, a command's the `Command` dictionary with its RequestType, a profile
 * payload's the dictionary with the keys common to all, a status item's an object with the item's name.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { JsonObject, JsonValue } from '../plist/json.ts';
import { type KindCatalog, loadCatalog } from './catalog.ts';
import { ANY, type CatalogEntry, type CatalogKey, type CatalogKind } from './entry.ts';
import {
  type CatalogTarget,
  entryUnsupported,
  isRequired,
  keyUnsupported,
  type SupportRule,
} from './support.ts';
import { formOf, membersOf, type ValueForm, type ValueProblem, valueProblem } from './values.ts';

export interface ContentProblem {
  /** `Payload.StandardConfigurations[0]`: names of the content, each cut to 64 characters. */
  readonly path: string;
  readonly rule: ValueProblem['rule'] | SupportRule | 'required' | 'unknown-key' | 'unknown-type' | 'depth';
  /** For people: `watchOS 26.4 or later`, `an integer`, `4 to 16`. */
  readonly expected: string;
}

export interface InvalidContent {
  readonly kind: 'invalid-content';
  readonly problems: readonly ContentProblem[];
}

export interface ValidateOptions {
  readonly allowUnknown?: boolean;
}

/** Enough to mend a declaration by. */
export const PROBLEMS_MAX = 50;
/** The schema's own nesting stays below 12; only folders in folders go deeper. */
export const DEPTH_MAX = 32;
const NAME_CHARS_MAX = 64;
/** Of the words that a key takes, in one problem. */
const CHOICES_SHOWN_MAX = 16;

/** Null in place of an entry: the type is unknown and that is allowed, so nothing was checked. */
export type ValidateOutcome = Outcome<CatalogEntry | null, InvalidContent>;

export async function validate(
  kind: CatalogKind,
  type: string,
  content: JsonObject,
  target?: CatalogTarget,
  options?: ValidateOptions,
): Promise<ValidateOutcome> {
  return validateIn(await loadCatalog(kind), type, content, target, options);
}

export function validateIn(
  catalog: KindCatalog,
  type: string,
  content: JsonObject,
  target?: CatalogTarget,
  options: ValidateOptions = {},
): ValidateOutcome {
  const { kind } = catalog;
  const allowUnknown = options.allowUnknown === true;
  const entry = catalog.find(type);
  if (entry === null) {
    const expected = 'a type in the catalog';
    return allowUnknown ? ok(null) : invalid([{ path: typePath(kind), rule: 'unknown-type', expected }]);
  }
  const unsupported = target === undefined ? null : entryUnsupported(entry, target);
  if (unsupported !== null) {
    return invalid([{ path: typePath(kind), rule: unsupported.rule, expected: unsupported.expected }]);
  }
  const validator = new Validator(target, allowUnknown, formOf(kind));
  validator.check(entry, envelopeOf(catalog, entry), content, isDeclaration(kind) ? 'Payload' : '');
  return validator.problems.length === 0 ? ok(entry) : invalid(validator.problems);
}

function invalid(problems: readonly ContentProblem[]) {
  return refuse({ kind: 'invalid-content', problems } as const);
}

function isDeclaration(kind: CatalogKind): boolean {
  return kind === 'activation' || kind === 'configuration' || kind === 'asset' || kind === 'management';
}

/** Where the type itself is written. */
function typePath(kind: CatalogKind): string {
  if (isDeclaration(kind)) return 'Type';
  return { command: 'RequestType', profile: 'PayloadType', checkin: 'MessageType' }[kind as string] ?? '';
}

/** The keys around an entry's own: a command names itself, a payload has what all payloads have. */
function envelopeOf(catalog: KindCatalog, { kind, type }: CatalogEntry): readonly CatalogKey[] {
  if (kind === 'command') return [{ name: 'RequestType', type: 'string', required: true, values: [type] }];
  if (kind !== 'profile' || type === 'TopLevel' || type === 'CommonPayloadKeys') return [];
  const common = catalog.find('CommonPayloadKeys')?.keys ?? [];
  return common.map((key) => (key.name === 'PayloadType' ? { ...key, values: [type] } : key));
}

/** Where a value is: in the content, and in the schema (the keys above it, outermost first, for what is recursive). */
interface Place {
  readonly path: string;
  readonly depth: number;
  readonly above: readonly CatalogKey[];
}

class Validator {
  readonly problems: ContentProblem[] = [];
  readonly #target: CatalogTarget | undefined;
  readonly #allowUnknown: boolean;
  readonly #form: ValueForm;

  constructor(target: CatalogTarget | undefined, allowUnknown: boolean, form: ValueForm) {
    this.#target = target;
    this.#allowUnknown = allowUnknown;
    this.#form = form;
  }

  check(entry: CatalogEntry, envelope: readonly CatalogKey[], content: JsonObject, path: string): void {
    const forms = [entry.keys ?? [], ...(entry.variants ?? [])];
    const keys = closest(forms, content);
    // The envelope comes first, so that no key of the same name replaces what it says.
    this.#members([...envelope, ...keys], content, { path, depth: 0, above: [] });
  }

  #members(keys: readonly CatalogKey[], members: JsonObject, place: Place): void {
    const known = new Map(keys.toReversed().map((key) => [key.name, key]));
    const any = known.get(ANY);
    known.delete(ANY);
    for (const [name, value] of Object.entries(members)) {
      const key = known.get(name) ?? any;
      const path = join(place.path, name);
      if (key !== undefined) this.#value(key, value, { ...place, path });
      else if (!this.#allowUnknown) this.#add(path, 'unknown-key', 'no such key');
      if (this.#isFull) return;
    }
    for (const key of known.values()) {
      if (!Object.hasOwn(members, key.name) && isRequired(key, this.#target)) {
        this.#add(join(place.path, key.name), 'required', 'a key that must be present');
      }
    }
  }

  #value(key: CatalogKey, value: JsonValue, place: Place): void {
    const problem = keyUnsupported(key, this.#target) ?? valueProblem(key, value, this.#form);
    if (problem !== null) this.#add(place.path, problem.rule, problem.expected);
    else if (key.choices !== undefined) this.#choice(key.choices, value, place.path);
    else if (typeof value === 'object') this.#inside(key, value, place);
  }

  /** What is below a value that is itself as it should be. */
  #inside(key: CatalogKey, value: JsonValue, { path, depth, above }: Place): void {
    if (depth >= DEPTH_MAX) {
      this.#add(path, 'depth', `at most ${DEPTH_MAX} levels`);
      return;
    }
    const at = above.length - (key.recursive ?? 0);
    const shape = above[at] ?? key;
    const inner = { path, depth: depth + 1, above: [...above.slice(0, at), shape] };
    const members = membersOf(value, this.#form);
    if (Array.isArray(value)) this.#items(shape.items ?? [], value, inner);
    else if (members !== null && shape.keys !== undefined) this.#members(shape.keys, members, inner);
  }

  #items(keys: readonly CatalogKey[], items: readonly JsonValue[], place: Place): void {
    if (keys.length === 0) return;
    for (const [index, item] of items.entries()) {
      const inner = { ...place, path: `${place.path}[${index}]` };
      const key = keys.length === 1 ? keys[0] : this.#itemForm(keys, item, inner.path);
      if (key !== undefined) this.#value(key, item, inner);
      if (this.#isFull) return;
    }
  }

  /** Which of several forms an item has, by its constants. */
  #itemForm(keys: readonly CatalogKey[], item: JsonValue, path: string): CatalogKey | undefined {
    const members = membersOf(item, this.#form);
    if (members === null) {
      this.#add(path, 'type', 'a dictionary');
      return undefined;
    }
    const form = keys.find((key) => hasConstants(key.keys ?? [], members));
    if (form !== undefined) return form;
    const constants = keys.flatMap((key) => constantsOf(key.keys ?? []).slice(0, 1));
    const name = constants[0]?.name ?? '';
    const isUnknown = typeof members[name] === 'string';
    if (!isUnknown || !this.#allowUnknown) {
      this.#add(join(path, name), 'values', constants.flatMap(({ values = [] }) => values).join(', '));
    }
    return undefined;
  }

  #choice(choices: readonly CatalogKey[], value: JsonValue, path: string): void {
    const choice = choices.find(({ name }) => name === value);
    const unsupported = choice === undefined ? null : keyUnsupported(choice, this.#target);
    if (unsupported !== null) this.#add(path, unsupported.rule, unsupported.expected);
    if (choice === undefined && !this.#allowUnknown) {
      this.#add(path, 'values', oneOf(choices.filter((one) => keyUnsupported(one, this.#target) === null)));
    }
  }

  get #isFull(): boolean {
    return this.problems.length >= PROBLEMS_MAX;
  }

  #add(path: string, rule: ContentProblem['rule'], expected: string): void {
    if (!this.#isFull) this.problems.push({ path, rule, expected });
  }
}

/** The form with the most constants of those whose constants the content has; if there is none, the first. */
function closest(forms: readonly (readonly CatalogKey[])[], content: JsonObject): readonly CatalogKey[] {
  const fitting = forms.filter((keys) => hasConstants(keys, content));
  const [best] = fitting.toSorted((a, b) => constantsOf(b).length - constantsOf(a).length);
  return best ?? forms[0] ?? [];
}

/** Required keys that can say one thing only: they tell forms apart. */
function constantsOf(keys: readonly CatalogKey[]): readonly CatalogKey[] {
  return keys.filter(({ required, values }) => required && values?.length === 1);
}

function hasConstants(keys: readonly CatalogKey[], members: JsonObject): boolean {
  return constantsOf(keys).every(
    ({ name, values }) => Object.hasOwn(members, name) && members[name] === values?.[0],
  );
}

function oneOf(choices: readonly CatalogKey[]): string {
  const words = choices.slice(0, CHOICES_SHOWN_MAX).map(({ name }) => name);
  const more = choices.length - words.length;
  return `one of ${words.join(', ')}${more === 0 ? '' : ` and ${more} more, which the catalog lists for this key`}`;
}

function join(path: string, name: string): string {
  const cut = name.length > NAME_CHARS_MAX ? `${name.slice(0, NAME_CHARS_MAX)}…` : name;
  return path === '' ? cut : `${path}.${cut}`;
}
