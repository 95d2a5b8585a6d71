/** The catalog as an administrator reads it. */
import { describe, expect, it } from 'vitest';
import { CATALOG_KINDS } from '../../../src/protocol/catalog/entry.ts';
import { caller, FakeServices, kindOf } from './fake-services.ts';

const call = caller(new FakeServices());

describe('the catalog', () => {
  it('says which kinds it has, how many types of each, and where its facts come from', async () => {
    const { status, body } = await call('GET', '/catalog');
    expect(status).toBe(200);
    expect(body.kinds.map(({ kind }: { kind: string }) => kind)).toEqual(CATALOG_KINDS);
    expect(body.schemas[0]).toEqual({
      schema: '18.1',
      repository: 'apple/device-management',
      commit: 'b6202ca',
    });
    expect(body.accessRights.AllowDeviceErase).toBe(8);
  });

  it('lists every kind whole', async () => {
    const { body } = await call('GET', '/catalog');
    for (const { kind, types } of body.kinds) {
      expect((await call('GET', `/catalog/${kind}`)).body.items).toHaveLength(types);
    }
  });

  it('lists what one platform has', async () => {
    const { body } = await call('GET', '/catalog/command?platform=watchOS');
    const types = body.items.map(({ type }: { type: string }) => type);
    expect(types).toContain('DeviceLock');
    expect(types).not.toContain('RestartDevice');
    expect(body.items[0].platforms.watchOS.introduced).toBe('10.0');
  });

  it('shows one type with its keys', async () => {
    const { body } = await call('GET', '/catalog/configuration/com.apple.configuration.passcode.settings');
    expect(body).toMatchObject({
      kind: 'configuration',
      type: 'com.apple.configuration.passcode.settings',
      apply: 'combined',
      schema: '27.0 seed 1',
      platforms: { watchOS: { introduced: '10.0', enrollments: ['supervised', 'local'] } },
    });
    const minimum = body.keys.find(({ name }: { name: string }) => name === 'MinimumLength');
    expect(minimum).toEqual({
      ...{ name: 'MinimumLength', type: 'integer', default: 0, combine: 'number-max' },
      range: { min: 0, max: 16 },
    });
  });

  it('can be asked whether it changed', async () => {
    for (const path of ['/catalog', '/catalog/status', '/catalog/command/DeviceLock']) {
      const { headers } = await call('GET', path);
      const tag = headers.get('ETag') ?? '';
      expect(tag).toMatch(/^"[0-9a-f]{16}"$/);
      for (const asked of [tag, `"other", W/${tag}`, '*']) {
        const again = await call('GET', path, undefined, { 'If-None-Match': asked });
        expect([again.status, again.text, again.headers.get('ETag')]).toEqual([304, '', tag]);
      }
      const other = await call('GET', path, undefined, { 'If-None-Match': '"0000000000000000"' });
      expect(other.status).toBe(200);
    }
  });

  it.each([
    '/catalog/nothing',
    '/catalog/commands',
    '/catalog/command/Nothing',
    '/catalog/nothing/DeviceLock',
    '/catalog/command/__proto__',
    '/catalog/__proto__/x',
    '/catalog/command/DeviceLock/keys',
  ])('has no %s', async (path) => {
    const answer = await call('GET', path, undefined, { 'If-None-Match': '*' });
    expect([answer.status, kindOf(answer)]).toEqual([404, 'no-such-resource']);
  });

  it('refuses a platform or parameter it does not know', async () => {
    for (const query of ['platform=macOS', 'platform=iOS&platform=watchOS', 'limit=5']) {
      expect(kindOf(await call('GET', `/catalog/command?${query}`))).toBe('invalid');
    }
  });

  it('is for administrators', async () => {
    expect((await call('GET', '/catalog', undefined, { Authorization: '' })).status).toBe(401);
    expect((await call('POST', '/catalog')).headers.get('Allow')).toBe('GET, HEAD');
  });
});
