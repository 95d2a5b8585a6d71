/** Who gets in, what is no resource, and what every answer carries. */
import { describe, expect, it } from 'vitest';
import { BootstrapKey } from '../../../src/domain/admin/bootstrap-key.ts';
import { Fault, Unavailable } from '../../../src/std/outcome.ts';
import { Secret } from '../../../src/std/secret.ts';
import { caller, FakeServices, KEY, kindOf, PHONE, STRANGER } from './fake-services.ts';

const fakes = new FakeServices();
const call = caller(fakes);

describe('the key', () => {
  it('is asked for with a challenge when there is none', async () => {
    const answer = await call('GET', '/devices', undefined, { Authorization: '' });
    expect([answer.status, kindOf(answer)]).toEqual([401, 'key-missing']);
    expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer realm="escapement"');
  });

  it.each([
    ['wrong', `Bearer ${KEY}x`],
    ['a prefix of the right one', `Bearer ${KEY.slice(0, -1)}`],
    ['of another scheme', `Basic ${btoa(`admin:${KEY}`)}`],
    ['absent after the scheme', 'Bearer '],
    ['two keys', `Bearer ${KEY} ${KEY}`],
    ['longer than any key', `Bearer ${'k'.repeat(513)}`],
  ])('is refused when it is %s', async (_, Authorization) => {
    const answer = await call('GET', '/devices', undefined, { Authorization });
    expect([answer.status, kindOf(answer)]).toEqual([401, 'unknown-key']);
    expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer realm="escapement", error="invalid_token"');
  });

  it('is taken with the scheme in any case', async () => {
    expect((await call('GET', '/devices', undefined, { Authorization: `bearer ${KEY}` })).status).toBe(200);
  });

  it('is asked for before a path is said to exist', async () => {
    for (const path of ['/nothing', '/devices', '']) {
      expect((await call('PATCH', path, undefined, { Authorization: '' })).status).toBe(401);
    }
  });

  it('appears in no answer and no log line', async () => {
    const seen = new FakeServices();
    const ask = caller(seen);
    const answers = [
      await ask('GET', '/devices', undefined, { Authorization: `Bearer ${KEY}-wrong` }),
      await ask('GET', `/devices/${STRANGER}`),
    ];
    expect(JSON.stringify([seen.logged, answers.map(({ text }) => text)])).not.toContain(KEY);
    expect(seen.logged.map(({ fields }) => fields.refusal)).toEqual(['unknown-key', 'unknown-device']);
  });

  it.each(['', 'fifteen-letters', 'sixteen letters!!', 'x'.repeat(513), `${'x'.repeat(20)}\n`])(
    'cannot be configured as %j',
    (key) => {
      expect(() => new BootstrapKey(new Secret(key))).toThrow(Fault);
      expect(() => new BootstrapKey(new Secret(key))).not.toThrow(key === '' ? 'no key' : key);
    },
  );

  it('is compared whole', async () => {
    const keys = new BootstrapKey(new Secret(KEY));
    expect((await keys.authenticate(KEY)).ok).toBe(true);
    for (let length = 0; length < KEY.length; length++) {
      expect((await keys.authenticate(KEY.slice(0, length))).ok).toBe(false);
    }
  });
});

describe('a path', () => {
  it.each([
    '',
    '/',
    '/nothing',
    '/devices/',
    `/devices/${PHONE}/nothing`,
    '/pairings/a/b',
    '/watch-enrollment/nobody',
  ])('%j is no resource', async (path) => {
    const answer = await call('GET', path);
    expect([answer.status, kindOf(answer)]).toEqual([404, 'no-such-resource']);
  });

  it.each([
    ['DELETE', '/devices', 'GET, HEAD'],
    ['POST', `/devices/${PHONE}`, 'GET, HEAD'],
    ['PUT', `/devices/${PHONE}/commands`, 'GET, HEAD, POST'],
    ['POST', `/devices/${PHONE}/commands/C-1`, 'GET, HEAD, DELETE'],
    ['GET', '/enrollment-links', 'POST'],
    ['POST', `/watch-enrollment/devices/${PHONE}`, 'GET, HEAD, PUT, DELETE'],
    ['POST', '/pairings', 'GET, HEAD'],
    ['DELETE', '/pairings/pairing-1', 'GET, HEAD'],
    ['PUT', '/expected-devices', 'GET, HEAD, POST'],
    ['GET', '/expected-devices/SERIAL1', 'DELETE'],
    ['OPTIONS', '/devices', 'GET, HEAD'],
  ])('does not take %s %s and says what it takes', async (method, path, allow) => {
    const answer = await call(method, path);
    expect([answer.status, kindOf(answer)]).toEqual([405, 'method-not-allowed']);
    expect(answer.headers.get('Allow')).toBe(allow);
  });

  it('answers HEAD like GET, without a body', async () => {
    const answer = await call('HEAD', '/devices');
    expect([answer.status, answer.text]).toEqual([200, '']);
  });

  it.each(['short', `${'u'.repeat(65)}`, 'has%20space', 'has%2Fslash', '%00%00%00%00%00%00%00%00'])(
    'with the malformed UDID %j is refused',
    async (udid) => {
      for (const path of [
        `/devices/${udid}`,
        `/devices/${udid}/commands`,
        `/watch-enrollment/devices/${udid}`,
      ]) {
        const answer = await call('GET', path);
        expect([path, answer.status, kindOf(answer)]).toEqual([path, 400, 'malformed-identifier']);
      }
    },
  );
});

describe('an answer', () => {
  it('is never stored or sniffed, whether good or not', async () => {
    for (const path of ['/devices', '/nothing', `/devices/${STRANGER}`]) {
      const { headers } = await call('GET', path);
      expect(headers.get('Cache-Control')).toBe('no-store');
      expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
    }
    const { headers } = await call('GET', '/devices', undefined, { Authorization: '' });
    expect(headers.get('Cache-Control')).toBe('no-store');
  });

  it('asks to try again when a dependency failed, and logs its code', async () => {
    const broken = new FakeServices();
    broken.failure = new Unavailable('d1', 'the database is away');
    const answer = await caller(broken)('GET', `/devices/${PHONE}`);
    expect([answer.status, kindOf(answer)]).toEqual([503, 'unavailable']);
    expect(answer.headers.get('Retry-After')).toBe('5');
    expect(broken.logged[0]).toEqual({
      name: 'unavailable',
      fields: { errorCode: 'd1', error: 'the database is away' },
    });
  });

  it('tells nothing of a fault but the number to look it up by', async () => {
    const broken = new FakeServices();
    broken.failure = new Fault('bug', 'inner secret');
    const answer = await caller(broken)('GET', `/devices/${PHONE}`);
    expect([answer.status, kindOf(answer)]).toEqual([500, 'fault']);
    expect(answer.text).not.toContain('inner secret');
    expect(answer.body.requestId).toBe('request-1');
    broken.failure = new TypeError('x is not a function');
    expect(kindOf(await caller(broken)('GET', `/devices/${PHONE}`))).toBe('fault');
  });
});
