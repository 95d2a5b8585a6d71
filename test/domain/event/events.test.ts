import { describe, expect, it } from 'vitest';
import type { DeclarationStatus } from '../../../src/domain/declaration/manifest.ts';
import { mergeStatus, type StatusItem } from '../../../src/domain/declaration/status-merge.ts';
import type { Enrollment } from '../../../src/domain/enrollment/state.ts';
import { enrollmentEvents } from '../../../src/domain/event/enrollment-events.ts';
import { batchEvents, type DeviceEvent } from '../../../src/domain/event/event.ts';
import {
  CHANGE_VALUE_CHARS_MAX,
  declarationEvents,
  statusEvents,
} from '../../../src/domain/event/status-events.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { value } from '../../support/pairing.ts';

type Items = ReadonlyMap<string, StatusItem>;
const NONE: Items = new Map();

/** What is stored after a report of these values and errors, all as JSON. */
function after(
  before: Items,
  values: Record<string, unknown>,
  { errors = {}, full = false }: { errors?: Record<string, unknown[]>; full?: boolean } = {},
): Items {
  const texts = (record: Record<string, unknown>) =>
    new Map(Object.entries(record).map(([name, one]) => [name, JSON.stringify(one)]));
  return value(
    mergeStatus(before, { full, values: texts(values), errors: texts(errors) }, epochMs(before.size + 1)),
  );
}

const changes = (events: readonly DeviceEvent[]) =>
  events.flatMap((event) => (event.kind === 'status-changed' ? event.changes : []));

describe('a report', () => {
  it('tells each value that came, changed or went, in one event and by name', () => {
    const before = after(NONE, { b: true, c: 'same', d: [1, 2], e: null });
    const now = after(before, { a: 7, b: false, c: 'same', d: [1, 2, 3] }, { full: true });
    expect(statusEvents(before, now)).toEqual([
      {
        kind: 'status-changed',
        changes: [
          { name: 'a', to: 7 },
          { name: 'b', from: true, to: false },
          { name: 'd', from: [1, 2], to: [1, 2, 3] },
          { name: 'e', from: null },
        ],
      },
    ]);
  });

  it('tells nothing that is stored already', () => {
    const before = after(NONE, { a: 1, list: [{ identifier: 'x' }] }, { errors: { b: [{ code: 'E' }] } });
    for (const full of [false, true])
      expect(
        statusEvents(
          before,
          after(before, { a: 1, list: [{ identifier: 'x' }] }, { errors: { b: [{ code: 'E' }] }, full }),
        ),
      ).toEqual([]);
  });

  it('names what is large without its content, on the side where it is', () => {
    const fits = 'x'.repeat(CHANGE_VALUE_CHARS_MAX - 2);
    const before = after(NONE, { a: fits, b: `${fits}x` });
    expect(changes(statusEvents(NONE, before))).toEqual([
      { name: 'a', to: fits },
      { name: 'b', omitted: ['to'] },
    ]);
    const now = after(before, { a: `${fits}y`, b: `${fits}y` });
    expect(changes(statusEvents(before, now))).toEqual([
      { name: 'a', from: fits, omitted: ['to'] },
      { name: 'b', omitted: ['from', 'to'] },
    ]);
  });

  it('is told in several events of bounded size when it changes much, and nothing is left out', () => {
    const many = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, i) => [`i${i}`.padEnd(250, 'x'), 'é'.repeat(120)]),
    );
    const events = statusEvents(NONE, after(NONE, many));
    expect(changes(events)).toHaveLength(2_000);
    for (const event of events) expect(utf8(JSON.stringify(event)).length).toBeLessThan(9 * 1024);
    const batches = batchEvents(events);
    expect(batches.flat()).toEqual(events);
    expect(batches.length).toBeGreaterThan(1);
    for (const batch of batches) expect(utf8(JSON.stringify(batch)).length).toBeLessThan(300 * 1024);
  });

  it('never tells push token or PushMagic, however an object came to keep them', () => {
    const before = after(NONE, { 'mdm.push-token': 'OLD', 'mdm.push-magic': 'OLD' });
    const now = after(
      before,
      { 'mdm.push-token': '[secret]', 'mdm.push-magic': 'NEW', 'x.mdm.push-token': 'NEW' },
      { errors: { 'mdm.push-token': [{ code: 'E' }] } },
    );
    expect(statusEvents(before, now)).toEqual([]);
  });

  it('tells a failed item once for the same reasons, and again for others', () => {
    const E = { code: 'E', description: 'why', details: { deep: 'x' } };
    const failed = after(NONE, {}, { errors: { a: [E] } });
    const event = (code: string) => ({
      kind: 'status-error',
      name: 'a',
      reasons: [{ code, description: 'why' }],
    });
    expect(statusEvents(NONE, failed)).toEqual([event('E')]);
    expect(statusEvents(failed, after(failed, {}, { errors: { a: [E] } }))).toEqual([]);
    const other = after(failed, {}, { errors: { a: [{ ...E, code: 'F' }] } });
    expect(statusEvents(failed, other)).toEqual([event('F')]);
    const mended = after(other, { a: 1 });
    expect(statusEvents(other, mended)).toEqual([
      { kind: 'status-changed', changes: [{ name: 'a', to: 1 }] },
    ]);
    expect(statusEvents(mended, after(mended, {}, { errors: { a: [E] } }))).toEqual([event('E')]);
  });

  it('bounds the reasons of a failure', () => {
    const reasons = Array.from({ length: 50 }, () => ({
      code: 'C'.repeat(9_999),
      description: 'D'.repeat(9_999),
    }));
    const events = statusEvents(NONE, after(NONE, {}, { errors: { a: reasons } }));
    expect(JSON.stringify(events).length).toBeLessThan(5_000);
  });
});

describe('what a device says of a declaration', () => {
  const says = (identifier: string, over: Partial<DeclarationStatus> = {}): DeclarationStatus => ({
    identifier,
    serverToken: 't',
    active: true,
    valid: 'valid',
    reasons: [],
    ...over,
  });
  const all = (...statuses: DeclarationStatus[]) => new Map(statuses.map((one) => [one.identifier, one]));

  it('is told when it is new, changed in any part, or no longer said', () => {
    const reasons = [{ code: 'E', description: null }];
    const before = all(says('a'), says('b'), says('c'), says('d'), says('same'), says('gone'));
    const after = all(
      says('a', { active: false }),
      says('b', { valid: 'invalid' }),
      says('c', { reasons }),
      says('d', { serverToken: 'u' }),
      says('same'),
      says('new'),
    );
    const silent = { active: null, valid: null, reasons: [] };
    expect(declarationEvents(before, after)).toEqual(
      [
        { ...says('gone'), ...silent },
        says('a', { active: false }),
        says('b', { valid: 'invalid' }),
        says('c', { reasons }),
        says('d', { serverToken: 'u' }),
        says('new'),
      ].map((one) => ({ kind: 'declaration-changed', ...one })),
    );
    expect(declarationEvents(after, after)).toEqual([]);
  });
});

describe('an enrollment', () => {
  const device = { serial: 'S', platform: 'watchOS', phoneUdid: 'P', pairingId: 'I' };
  const in_ = (state: Enrollment['state']) => ({ ...device, state }) as Enrollment;

  it.each<[Enrollment['state'] | null, Enrollment['state'], string | null]>([
    [null, 'authenticated', null],
    ['authenticated', 'enrolled', 'device-enrolled'],
    ['enrolled', 'enrolled', null],
    ['enrolled', 'authenticated', null],
    ['enrolled', 'checked-out', 'device-checked-out'],
    ['authenticated', 'checked-out', 'device-checked-out'],
    ['checked-out', 'checked-out', null],
    ['checked-out', 'authenticated', null],
  ])('from %s to %s tells %s', (before, now, kind) => {
    const events = enrollmentEvents(before === null ? null : in_(before), in_(now));
    const subject = { serial: 'S', platform: 'watchOS', phone: 'P', pairingId: 'I' };
    expect(events).toEqual(kind === null ? [] : [{ kind, ...subject }]);
  });
});
