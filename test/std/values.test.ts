import { describe, expect, it } from 'vitest';
import { EscapementError, Fault, ok, refuse, Unavailable } from '../../src/std/outcome.ts';
import { Secret } from '../../src/std/secret.ts';
import { addMs, DAY_MS, epochMs, toTimestamp } from '../../src/std/time.ts';

describe('outcomes', () => {
  it('are a value or a refusal with its facts', () => {
    expect(ok(5)).toEqual({ ok: true, value: 5 });
    expect(refuse({ kind: 'late', ageMs: 7 })).toEqual({ ok: false, refusal: { kind: 'late', ageMs: 7 } });
  });

  it('what is thrown has a stable code, a name and its cause', () => {
    const cause = new Error('below');
    for (const [Kind, name] of [
      [Unavailable, 'Unavailable'],
      [Fault, 'Fault'],
    ] as const) {
      const error = new Kind('some-code', 'for people', cause);
      expect(error).toBeInstanceOf(EscapementError);
      expect(error).toMatchObject({ name, code: 'some-code', message: 'for people', cause });
      expect(Object.hasOwn(new Kind('c', 'm'), 'cause')).toBe(false);
    }
  });
});

describe('secrets', () => {
  it('print as [secret] everywhere but where they are exposed', () => {
    const secret = new Secret('hunter2');
    expect(`${secret}`).toBe('[secret]');
    expect(JSON.stringify({ key: secret })).toBe('{"key":"[secret]"}');
    expect(JSON.stringify(Object.entries(secret))).toBe('[]');
    expect(secret.expose()).toBe('hunter2');
  });
});

describe('time', () => {
  it('is written in UTC, to the second', () => {
    expect(toTimestamp(epochMs(Date.UTC(2026, 0, 31, 12, 0, 0, 999)))).toBe('2026-01-31T12:00:00Z');
    expect(toTimestamp(addMs(epochMs(0), DAY_MS))).toBe('1970-01-02T00:00:00Z');
  });
});
