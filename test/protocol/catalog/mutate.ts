/** Every value of a synthesized content with its key, and the one-change faults that can be made of it. */
import type { CatalogKey } from '../../../src/protocol/catalog/entry.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';
import { isOn, type Setting, sampleOf } from './synthesize.ts';

export interface Node {
  readonly path: string;
  /** Names and indices from the content's root. */
  readonly steps: readonly (string | number)[];
  readonly key: CatalogKey;
  /** It tells one form of an item from another, so a fault in it reads as a form that is not known. */
  readonly tellsForm: boolean;
}

export interface Fault {
  readonly change: 'removed' | 'wrong type' | 'out of bounds' | 'not permitted' | 'unknown key' | 'elsewhere';
  readonly path: string;
  readonly rule: string;
  readonly content: JsonObject;
}

export function nodesOf(keys: readonly CatalogKey[], content: JsonObject, root: string): Node[] {
  return inDict(keys, content, { path: root, steps: [] }, false);
}

type Place = Pick<Node, 'path' | 'steps'>;

function inDict(keys: readonly CatalogKey[], dict: JsonObject, at: Place, oneOfForms: boolean): Node[] {
  return keys.flatMap((key) => {
    const value = dict[key.name];
    if (value === undefined) return [];
    const path = at.path === '' ? key.name : `${at.path}.${key.name}`;
    return below(
      key,
      value,
      { path, steps: [...at.steps, key.name] },
      oneOfForms && key.values?.length === 1,
    );
  });
}

function below(key: CatalogKey, value: JsonValue, at: Place, tellsForm: boolean): Node[] {
  const self: Node = { ...at, key, tellsForm };
  if (Array.isArray(value)) {
    const items = key.items ?? [];
    const forms = items.length > 1;
    return [
      self,
      ...value.flatMap((item, index) => {
        const form = forms ? items.find((one) => isOfForm(one, item)) : items[0];
        if (form === undefined) return [];
        const place = { path: `${at.path}[${index}]`, steps: [...at.steps, index] };
        if (!forms) return below(form, item, place, false);
        return inDict(form.keys ?? [], item as JsonObject, place, true);
      }),
    ];
  }
  if (key.type !== 'dictionary') return [self];
  return [self, ...inDict(key.keys ?? [], value as JsonObject, at, false)];
}

function isOfForm(form: CatalogKey, item: JsonValue): boolean {
  const constant = form.keys?.find(({ values }) => values?.length === 1);
  return constant !== undefined && (item as JsonObject)[constant.name] === constant.values?.[0];
}

export function faultsOf(node: Node, content: JsonObject, setting: Setting): Fault[] {
  const { key, path, steps, tellsForm } = node;
  const faults: Fault[] = [];
  const add = (change: Fault['change'], rule: string, changed: JsonObject, at = path) =>
    faults.push({ change, rule: tellsForm ? 'values' : rule, content: changed, path: at });
  const put = (value: JsonValue) => replaced(content, steps, value);

  add('wrong type', 'type', put(WRONG[key.type]));
  if (key.required && typeof steps.at(-1) === 'string') add('removed', 'required', replaced(content, steps));
  if (key.values !== undefined)
    add('not permitted', 'values', put(key.type === 'string' ? 'no such word' : -987));
  if (key.choices !== undefined) add('not permitted', 'values', put('no such word'));
  if (key.format !== undefined) add('not permitted', 'format', put('\u0001'));
  const { min, max } = key.range ?? {};
  if (min !== undefined) add('out of bounds', 'range', put(min - 1));
  if (max !== undefined) add('out of bounds', 'range', put(max + 1));
  const items = valueAt(content, steps);
  if (key.count?.max !== undefined && Array.isArray(items)) {
    add('out of bounds', 'count', put([...items, ...items]));
  }
  if (key.type === 'dictionary') faults.push(...memberFaults(key.keys ?? [], node, content, setting));
  return faults;
}

/** Members that a dictionary cannot have here: unknown ones, and those of the other platform. */
export function memberFaults(
  keys: readonly CatalogKey[],
  { path, steps }: Place,
  content: JsonObject,
  setting: Setting,
): Fault[] {
  const faults: Fault[] = [];
  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  const isOpen = keys.some(({ name }) => name === 'ANY');
  if ((keys.length > 0 || steps.length === 0) && !isOpen) {
    const changed = replaced(content, [...steps, 'NoSuchKey'], true);
    faults.push({ change: 'unknown key', rule: 'unknown-key', path: at('NoSuchKey'), content: changed });
  }
  for (const key of keys) {
    if (key.platforms?.[setting.target.platform] !== null || isOn(key, setting)) continue;
    const value = sampleOf(key, setting, () => ({}));
    const changed = replaced(content, [...steps, key.name], value);
    faults.push({ change: 'elsewhere', rule: 'platform', path: at(key.name), content: changed });
  }
  return faults;
}

const WRONG: Readonly<Record<CatalogKey['type'], JsonValue>> = {
  ...{ string: 7, integer: 'text', real: 'text', boolean: 'text', date: 7, data: 7 },
  ...{ array: 'text', dictionary: 'text', any: null },
};

function valueAt(content: JsonObject, steps: readonly (string | number)[]): JsonValue | undefined {
  let value: JsonValue | undefined = content;
  for (const step of steps) value = (value as Record<string | number, JsonValue>)[step];
  return value;
}

/** A copy with one value replaced, or taken away. */
function replaced(content: JsonObject, steps: readonly (string | number)[], value?: JsonValue): JsonObject {
  const copy = structuredClone(content);
  const parent = valueAt(copy, steps.slice(0, -1)) as Record<string | number, JsonValue>;
  const last = steps.at(-1) as string | number;
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return copy;
}
