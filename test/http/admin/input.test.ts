/** What holds for every body, query and cursor, whatever the resource. */
import { describe, expect, it } from 'vitest';
import type { SerialNumber, Udid } from '../../../src/domain/ids.ts';
import { decodeCursor, encodeCursor } from '../../../src/http/admin/cursor.ts';
import { JSON_BYTES_MAX, JSON_DEPTH_MAX } from '../../../src/http/admin/input.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { caller, device, FakeServices, kindOf, PHONE } from './fake-services.ts';

const fakes = new FakeServices();
const call = caller(fakes);
const link = { udid: 'NEW-PHONE-000001', serial: 'NEWPHONE1' };

describe('a body', () => {
  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
    'application/jsonx',
    'application/xml',
  ])('of type %s is refused', async (type) => {
    const answer = await call('POST', '/enrollment-links', link, { 'Content-Type': type });
    expect([answer.status, kindOf(answer)]).toEqual([415, 'not-json']);
  });

  it.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
  ])('of type %s is read', async (type) => {
    expect((await call('POST', '/enrollment-links', link, { 'Content-Type': type })).status).toBe(201);
  });

  it('that is absent is no JSON', async () => {
    const answer = await call('POST', '/enrollment-links', '');
    expect([answer.status, kindOf(answer)]).toEqual([400, 'malformed-json']);
  });

  it('is refused when it breaks off anywhere', async () => {
    const whole = JSON.stringify(link);
    for (let length = 0; length < whole.length; length++) {
      const answer = await call('POST', '/enrollment-links', whole.slice(0, length));
      expect([length, answer.status]).toEqual([length, 400]);
    }
    expect(kindOf(await call('POST', '/enrollment-links', `${whole}x`))).toBe('malformed-json');
  });

  it('that is malformed is told where, as far as the engine knows', async () => {
    const answer = await call('POST', '/enrollment-links', '{"udid":"NEW-PHONE-000001" "serial":1}');
    expect(kindOf(answer)).toBe('malformed-json');
    expect(answer.body.position).toBe(27);
  });

  it('that is not UTF-8 is malformed', async () => {
    const json = utf8(JSON.stringify({ ...link, serial: 'NEWPHONE_' }));
    json[json.indexOf(0x5f)] = 0xff;
    expect(kindOf(await call('POST', '/enrollment-links', json))).toBe('malformed-json');
  });

  it.each(['null', '[]', '"text"', '7', 'true'])('that is %s is no object', async (json) => {
    const answer = await call('POST', '/enrollment-links', json);
    expect(answer.body.errors).toEqual([{ path: '', expected: 'an object' }]);
  });

  it('may have exactly the largest size', async () => {
    const fill = (length: number) => {
      const text = JSON.stringify(link);
      return text + ' '.repeat(length - text.length);
    };
    expect((await call('POST', '/enrollment-links', fill(JSON_BYTES_MAX))).status).toBe(201);
    const answer = await call('POST', '/enrollment-links', fill(JSON_BYTES_MAX + 1));
    expect([answer.status, kindOf(answer)]).toEqual([413, 'body-too-large']);
  });

  it('may not nest without end', async () => {
    const nested = (levels: number) => `{"command":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    const path = `/devices/${PHONE}/commands`;
    expect(kindOf(await call('POST', path, nested(JSON_DEPTH_MAX - 1)))).toBe('invalid');
    expect(kindOf(await call('POST', path, nested(JSON_DEPTH_MAX)))).toBe('json-too-deep');
    expect(kindOf(await call('POST', path, nested(100_000)))).toBe('json-too-deep');
  });

  it.each([
    ['{"command":{"n":9007199254740992}}', 16],
    ['{"command":{"n":[1,-9007199254740992]}}', 19],
    ['{"a\\"1":"\\\\","n":99999999999999999999}', 17],
  ])('may not hold an integer that would be rounded: %s', async (json, position) => {
    const answer = await call('POST', `/devices/${PHONE}/commands`, json);
    expect([answer.status, kindOf(answer), answer.body.position]).toEqual([
      400,
      'json-number-too-large',
      position,
    ]);
  });

  it.each(['9007199254740991', '-9007199254740991', '12345678901234567.5', '1e20', '"9007199254740993\\""'])(
    'may hold %s',
    async (json) => {
      const body = `{"command":{"RequestType":"X","n":${json}}}`;
      expect((await call('POST', `/devices/${PHONE}/commands`, body)).status).toBe(201);
    },
  );

  it('may be one long text', async () => {
    const body = `{"command":{"RequestType":"X","n":"${'1\\"'.repeat(60_000)}1234567890123456"}}`;
    expect((await call('POST', `/devices/${PHONE}/commands`, body)).status).toBe(201);
  });

  it('may not hold members that nobody knows', async () => {
    const answer = await call('POST', '/enrollment-links', { ...link, 'a/b~c': 1 });
    expect(answer.body.errors).toEqual([{ path: '/a~1b~0c', expected: 'no such member' }]);
    expect(kindOf(await call('POST', '/enrollment-links', '{"__proto__":{}}'))).toBe('invalid');
  });

  it('is told of many errors, but not of thousands', async () => {
    const serials = Array.from({ length: 400 }, () => '!');
    const answer = await call('POST', '/expected-devices', { serials, platform: 'iOS' });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toHaveLength(32);
    expect(answer.body.errors[1].path).toBe('/serials/1');
  });
});

describe('a query', () => {
  it.each([
    ['limit=0', '?limit'],
    ['limit=501', '?limit'],
    ['limit=1e2', '?limit'],
    ['limit=-1', '?limit'],
    ['limit=', '?limit'],
    ['limit=1&limit=2', '?limit'],
    ['platform=tvOS', '?platform'],
    ['state=happy', '?state'],
    ['serial=!', '?serial'],
    ['unknown=1', '?unknown'],
  ])('with %s is refused', async (query, path) => {
    const answer = await call('GET', `/devices?${query}`);
    expect([answer.status, kindOf(answer)]).toEqual([400, 'invalid']);
    expect(answer.body.errors[0].path).toBe(path);
  });

  it('may ask for the largest page', async () => {
    expect((await call('GET', '/devices?limit=500')).status).toBe(200);
  });
});

describe('a cursor', () => {
  const many = new FakeServices();
  many.devices = Array.from({ length: 7 }, (_, index) =>
    device({ udid: `PHONE-00000000${index}` as Udid, serial: `SERIAL${index}` as SerialNumber }),
  );
  const ask = caller(many);

  it('leads through every page once', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let pages = 0; pages < 9; pages++) {
      const answer = await ask('GET', `/devices?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`);
      seen.push(...answer.body.items.map((item: { udid: string }) => item.udid));
      cursor = answer.body.cursor;
      if (cursor === null) break;
    }
    expect(seen).toEqual(many.devices.map(({ udid }) => udid));
  });

  it('is refused when any character of it is changed, or it breaks off', async () => {
    const cursor: string = (await ask('GET', '/devices?limit=3')).body.cursor;
    const damaged = [...cursor].flatMap((character, at) => [
      cursor.slice(0, at) + (character === 'A' ? 'B' : 'A') + cursor.slice(at + 1),
      cursor.slice(0, at),
    ]);
    for (const changed of damaged) {
      const answer = await ask('GET', `/devices?limit=3&cursor=${changed}`);
      expect([changed, answer.status, kindOf(answer)]).toEqual([changed, 400, 'malformed-cursor']);
    }
  });

  it('stays with its listing and its filter', async () => {
    const cursor: string = (await ask('GET', '/devices?limit=3')).body.cursor;
    for (const path of [
      '/devices?platform=iOS&',
      '/pairings?',
      '/expected-devices?',
      `/devices/${PHONE}/commands?`,
    ]) {
      expect([path, kindOf(await ask('GET', `${path}cursor=${cursor}`))]).toEqual([path, 'malformed-cursor']);
    }
  });

  it('that no service made is refused by the service', async () => {
    const cursor = encodeCursor('devices   ', 'not of this service');
    expect(kindOf(await ask('GET', `/devices?cursor=${cursor}`))).toBe('malformed-cursor');
  });

  it('is bounded and strictly read', () => {
    for (const text of ['', '=', 'e30', 'W10', btoa('[1,2,3]'), 'A'.repeat(1025), '💥']) {
      expect([text, decodeCursor('s', text).ok]).toEqual([text, false]);
    }
    expect(decodeCursor('s', undefined)).toEqual({ ok: true, value: null });
    expect(decodeCursor('s', encodeCursor('s', 'é|\u0000') ?? '')).toEqual({ ok: true, value: 'é|\u0000' });
  });
});
