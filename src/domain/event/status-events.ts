/**
 * Which events a report makes: stored before and stored after in, events out. Pure. A report said again changes
 * nothing and so makes none.
 */

import type { DeclarationStatus } from '../declaration/manifest.ts';
import type { StatusItem } from '../declaration/status-merge.ts';
import { isSecretStatusItem } from '../declaration/status-secrets.ts';
import { batchBySize, type DeviceEvent, eventReasons, type StatusItemChange } from './event.ts';

/** Of canonical JSON. Scalars fit, and short lists; lists of apps and certificates do not. */
export const CHANGE_VALUE_CHARS_MAX = 256;
/** A first report of all that Apple knows has some 5 KiB of changes. A million such events fit into one database. */
const CHANGES_BYTES_MAX = 8 * 1024;

/** `declaration-changed` says it, and only of what the device is to hold. */
const TOLD_OTHERWISE = 'management.declarations';

type StatusItems = ReadonlyMap<string, StatusItem>;

/** Of push token and PushMagic, not even that they changed. */
export function statusEvents(before: StatusItems, after: StatusItems): readonly DeviceEvent[] {
  const names = [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => before.get(name) !== after.get(name) && !isSecretStatusItem(name))
    .sort();
  const changes = names
    .filter((name) => name !== TOLD_OTHERWISE && textOf(before, name) !== textOf(after, name))
    .map((name) => changeOf(name, textOf(before, name), textOf(after, name)));
  const failures = names.flatMap((name) => {
    const reasons = after.get(name)?.error?.reasons ?? null;
    if (reasons === null || reasons === before.get(name)?.error?.reasons) return [];
    return [{ kind: 'status-error', name, reasons: eventReasons(JSON.parse(reasons)) } as const];
  });
  const batches = batchBySize(changes, CHANGES_BYTES_MAX);
  return [...batches.map((some) => ({ kind: 'status-changed', changes: some }) as const), ...failures];
}

function textOf(items: StatusItems, name: string): string | null {
  return items.get(name)?.value ?? null;
}

function changeOf(name: string, from: string | null, to: string | null): StatusItemChange {
  const sides = Object.entries({ from, to }).filter(([, value]) => value !== null) as [
    'from' | 'to',
    string,
  ][];
  const isLarge = ([, value]: readonly [string, string]) => value.length > CHANGE_VALUE_CHARS_MAX;
  const omitted = sides.filter(isLarge).map(([side]) => side);
  const shown = sides.filter((side) => !isLarge(side)).map(([side, value]) => [side, JSON.parse(value)]);
  return { name, ...Object.fromEntries(shown), ...(omitted.length === 0 ? {} : { omitted }) };
}

type DeclarationStatuses = ReadonlyMap<string, DeclarationStatus>;

/** Both by identifier; what is the same on both sides makes none. */
export function declarationEvents(
  before: DeclarationStatuses,
  after: DeclarationStatuses,
): readonly DeviceEvent[] {
  const gone = [...before.values()]
    .filter(({ identifier }) => !after.has(identifier))
    .map(({ identifier, serverToken }): DeviceEvent => {
      const silent = { active: null, valid: null, reasons: [] };
      return { kind: 'declaration-changed', identifier, serverToken, ...silent };
    });
  const changed = [...after.values()]
    .filter((status) => !sameStatus(before.get(status.identifier), status))
    .map(({ identifier, serverToken, active, valid, reasons }): DeviceEvent => {
      const said = { active, valid, reasons: eventReasons(reasons) };
      return { kind: 'declaration-changed', identifier, serverToken, ...said };
    });
  return [...gone, ...changed];
}

export function sameStatus(a: DeclarationStatus | undefined, b: DeclarationStatus): boolean {
  return (
    a?.serverToken === b.serverToken &&
    a.active === b.active &&
    a.valid === b.valid &&
    JSON.stringify(a.reasons) === JSON.stringify(b.reasons)
  );
}
