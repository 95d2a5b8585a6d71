/**
 * Profiles for the effective policy: which come, in which version, with content or without, each by one statement
 * however many there are.
 */
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import type { Udid } from '../../../src/domain/ids.ts';
import { randomUuid } from '../../../src/pki/random.ts';
import { readUtf8, utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { D1PolicyProfiles } from '../../../src/storage/d1/policy-profiles.ts';
import { database } from '../../support/device.ts';

const store = new D1PolicyProfiles(database);
const POLICY = 'com.apple.mobiledevice.passwordpolicy';
const WIFI = 'com.apple.wifi.managed';
const query = { payloadTypes: [POLICY], bytesMax: 1000 };

interface Stored {
  readonly type?: string;
  readonly resource?: 'profiles' | 'assets';
  readonly size?: number;
  readonly version?: number;
}

const name = (text: string) => `${text}.${randomUuid().slice(0, 8)}`;
const details = (type: string) => JSON.stringify({ payloadTypes: [WIFI, type] });

async function stored(identifier: string, over: Stored = {}): Promise<string> {
  const { type = POLICY, resource = 'profiles', size = 10, version = 1 } = over;
  await database.batch([
    {
      sql: `INSERT INTO declarations (identifier, kind, type, payload, server_token, updated_at_ms)
            VALUES (?, 'configuration', 'com.apple.configuration.legacy', '{}', ?, 0)`,
      bound: [identifier, `token of ${identifier}`],
    },
    {
      sql: `INSERT INTO uploads (identifier, resource, content_type, size, details, sealed, version)
            VALUES (?, ?, 'text/xml', ?, ?, ?, ?)`,
      bound: [
        identifier,
        resource,
        size,
        resource === 'assets' ? '{}' : details(type),
        utf8(`${identifier} ${version}`),
        version,
      ],
    },
  ]);
  return identifier;
}

async function before(identifier: string, version: number): Promise<void> {
  await database.run(
    `INSERT INTO profile_versions (identifier, version, server_token, size, details, sealed) VALUES (?, ?, 'older', 10, ?, ?)`,
    ...[identifier, version, details(POLICY), utf8(`${identifier} ${version}`)],
  );
}

async function order(
  udid: string,
  identifier: string,
  state: string,
  version: number,
  installed: number | null,
): Promise<void> {
  await database.run(
    `INSERT INTO device_profiles (udid, identifier, payload_identifier, action, version, state, command_uuid, enrollment_id,
       ordered_at_ms, changed_at_ms, installed_version, installed_at_ms)
     VALUES (?, ?, 'com.example.p', 'install', ?, ?, ?, 'enrollment', 1, 2, ?, ?)`,
    ...[udid, identifier, version, state, randomUuid(), installed, installed === null ? null : 7],
  );
}

const texts = (rows: readonly { readonly sealed: Uint8Array<ArrayBuffer> | null }[]) =>
  rows.map(({ sealed }) => (sealed === null ? null : readUtf8(sealed)));

/** How many statements `act` takes. */
async function statements(act: () => Promise<unknown>): Promise<number> {
  const prepare = vi.spyOn(Object.getPrototypeOf(env.DB) as D1Database, 'prepare');
  try {
    await act();
    return prepare.mock.calls.length;
  } finally {
    prepare.mockRestore();
  }
}

describe('behind declarations', () => {
  it('come with content where a payload type that is asked for is in them, and assets always', async () => {
    const [rules, wifi, asset] = [name('a'), name('b'), name('c')];
    await stored(rules);
    await stored(wifi, { type: WIFI });
    await stored(asset, { resource: 'assets' });
    const rows = await store.declared([asset, rules, wifi, 'unknown'], query);
    expect(rows.map(({ identifier, relevant, serverToken }) => [identifier, relevant, serverToken])).toEqual([
      [rules, true, `token of ${rules}`],
      [wifi, false, `token of ${wifi}`],
      [asset, true, `token of ${asset}`],
    ]);
    expect(texts(rows)).toEqual([`${rules} 1`, null, `${asset} 1`]);
  });

  it('come without content past the limit, which other profiles do not use up', async () => {
    const [wifi, first, second] = [name('a'), name('b'), name('c')];
    await stored(wifi, { type: WIFI, size: 5000 });
    await stored(first, { size: 600 });
    await stored(second, { size: 600 });
    const rows = await store.declared([wifi, first, second], query);
    expect(texts(rows)).toEqual([null, `${first} 1`, null]);
    expect(rows.map(({ relevant }) => relevant)).toEqual([false, true, true]);
  });
});

describe('by command', () => {
  it('come in the version that the device is to have, of older ones too, and not when they were removed', async () => {
    const udid = name('DEVICE') as Udid;
    const identifier = await stored(name('p'), { version: 3 });
    await before(identifier, 2);
    const cases: readonly (readonly [string, number, number | null, string | null])[] = [
      ['ordered', 3, 2, '3'],
      ['installed', 3, 3, '3'],
      ['failed', 3, 2, '2'],
      ['removing', 2, 2, '2'],
      ['installed', 1, 1, null],
    ];
    for (const [state, version, installed, wanted] of cases) {
      await database.run('DELETE FROM device_profiles WHERE udid = ?', udid);
      await order(udid, identifier, state, version, installed);
      const rows = await store.ordered([udid], query);
      expect(texts(rows), state).toEqual([wanted === null ? null : `${identifier} ${wanted}`]);
      const kept = { udid, identifier, state, isInstalled: true, installedAtMs: 7, isKept: wanted !== null };
      expect(rows).toMatchObject([
        { ...kept, enrollmentId: 'enrollment', payloadIdentifier: 'com.example.p' },
      ]);
    }
    await database.run('DELETE FROM device_profiles WHERE udid = ?', udid);
    await order(udid, identifier, 'removed', 3, null);
    expect(await store.ordered([udid], query)).toEqual([]);
  });

  it('come without content when nothing that is asked for is in them', async () => {
    const udid = name('DEVICE') as Udid;
    await order(udid, await stored(name('p'), { type: WIFI }), 'installed', 1, 1);
    expect(await store.ordered([udid], query)).toMatchObject([
      { relevant: false, isKept: true, sealed: null },
    ]);
  });
});

describe('in commands', () => {
  const udid = name('DEVICE') as Udid;
  async function ended(over: { type?: string; state?: string; at?: number; size?: number; kept?: boolean }) {
    const { type = 'InstallProfile', state = 'acknowledged', at = 10, size = 10, kept = true } = over;
    const commandUuid = randomUuid();
    await database.run(
      `INSERT INTO command_history (command_uuid, udid, number, request_type, sealed, state, created_at_ms, answered_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[commandUuid, udid, at, type, kept ? new Uint8Array(size) : null, state, at, at + 1],
    );
    return commandUuid;
  }

  it('come in the order of their answers, of this enrollment, acknowledged and kept, and within the limits', async () => {
    await ended({ at: 1 });
    for (const other of [{ type: 'ProfileList' }, { state: 'error' }, { kept: false }]) await ended(other);
    const removed = await ended({ type: 'RemoveProfile', at: 7 });
    const large = await ended({ at: 6, size: 2000 });
    const first = await ended({ at: 5 });
    const since = new Map([[udid, epochMs(2)]]);
    const limits = { commandsMax: 3, bytesMax: 1000 };
    const rows = await store.commanded(since, limits);
    expect(rows.map(({ commandUuid, installs, sealed }) => [commandUuid, installs, sealed?.length])).toEqual([
      [first, true, undefined],
      [large, true, undefined],
      [removed, false, 10],
    ]);
    expect(await store.commanded(since, { ...limits, commandsMax: 1 })).toMatchObject([
      { udid, commandUuid: removed, atMs: 8 },
    ]);
  });
});

it('takes one statement for any number of devices and profiles', async () => {
  const udids = [name('DEVICE'), name('DEVICE')] as Udid[];
  const identifiers = [await stored(name('p')), await stored(name('p')), await stored(name('p'))];
  for (const udid of udids)
    for (const identifier of identifiers) await order(udid, identifier, 'installed', 1, 1);
  expect(await statements(() => store.declared(identifiers, query))).toBe(1);
  expect(await statements(() => store.ordered(udids, query))).toBe(1);
  expect(await store.ordered(udids, query)).toHaveLength(6);
});
