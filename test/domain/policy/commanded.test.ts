/** Profiles in commands, played back over what is recorded of stored ones: what is read, and what cannot be. */
import { expect, it } from 'vitest';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import { installedOn, PROFILE_COMMANDS_MAX } from '../../../src/domain/policy/commanded.ts';
import { OPENED_BYTES_MAX } from '../../../src/domain/policy/opening.ts';
import type { CommandedProfile, OrderedProfile } from '../../../src/domain/policy/ports.ts';
import type { PlistDict, PlistValue } from '../../../src/protocol/plist/value.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { mobileConfig, text } from '../../support/uploads.ts';
import { WATCH } from './sources.ts';

const NAME = 'com.example.p';
const PAYLOAD = utf8(mobileConfig([], { PayloadIdentifier: text(NAME) }));
const INSTALL: Record<string, PlistValue> = { RequestType: 'InstallProfile', Payload: PAYLOAD };
const REMOVE: Record<string, PlistValue> = { RequestType: 'RemoveProfile', Identifier: NAME };

interface Said {
  readonly atMs: number;
  /** Null for content that does not open; absent for content past the limit. */
  readonly command?: Record<string, PlistValue> | null;
  readonly installs?: boolean;
}

/** As state, time of installation and content of what is on the watch. */
async function playBack(said: readonly Said[], recorded: readonly Partial<OrderedProfile>[] = []) {
  const opened = new Map<string, PlistDict | null>();
  const commands = said.map(({ atMs, command, installs = true }): CommandedProfile => {
    const commandUuid = `command-${atMs}` as CommandUuid;
    opened.set(commandUuid, command == null ? null : new Map(Object.entries(command)));
    const sealed = command === undefined ? null : PAYLOAD;
    return { udid: WATCH, commandUuid, installs, atMs: epochMs(atMs), sealed };
  });
  const ordered = recorded.map(
    (over): OrderedProfile => ({
      ...{ udid: WATCH, identifier: 'stored', payloadIdentifier: NAME, enrollmentId: 'now' },
      ...{ state: 'installed', isInstalled: true, installedAtMs: epochMs(5), isKept: true },
      ...{ relevant: false, sealed: null, ...over },
    }),
  );
  const devices = new Map([[WATCH, { enrollmentId: 'now', startedAtMs: epochMs(3) }]]);
  const found = await installedOn(devices, {
    seal: { open: async () => null },
    contents: { read: async (_udid, commandUuid) => opened.get(commandUuid) ?? null },
    store: {
      declared: async () => [],
      ordered: async () => ordered,
      commanded: async (since, limits) => {
        expect([...since]).toEqual([[WATCH, 3]]);
        expect(limits).toEqual({ commandsMax: PROFILE_COMMANDS_MAX, bytesMax: OPENED_BYTES_MAX });
        return commands;
      },
    },
  });
  return (found.get(WATCH) ?? []).map(({ identifier, state, isInstalled, installedAtMs, content }) => [
    ...[identifier, state, isInstalled, installedAtMs],
    content.kind === 'unread' ? content.reason : content.kind,
  ]);
}

it('has of one name what was installed last, unless it was removed', async () => {
  const twice = [
    { atMs: 6, command: INSTALL },
    { atMs: 7, command: INSTALL },
  ];
  expect(await playBack(twice)).toEqual([['command-7', 'installed', true, 7, 'opened']]);
  expect(await playBack([...twice, { atMs: 8, command: REMOVE, installs: false }])).toEqual([]);
});

it('leaves alone what is recorded of a stored profile at that time or later', async () => {
  const own = ['stored', 'installed', true, 5, 'other'];
  for (const atMs of [4, 5]) {
    expect(await playBack([{ atMs, command: INSTALL }], [{}])).toEqual([own]);
    expect(await playBack([{ atMs, command: REMOVE, installs: false }], [{}])).toEqual([own]);
  }
});

it('knows a stored profile to be gone that a later command replaced or removed, but for a new order', async () => {
  const gone = ['stored', 'failed', false, 5, 'other'];
  expect(await playBack([{ atMs: 6, command: REMOVE, installs: false }], [{}])).toEqual([gone]);
  expect(await playBack([{ atMs: 6, command: INSTALL }], [{}])).toEqual([
    gone,
    ['command-6', 'installed', true, 6, 'opened'],
  ]);
  const again = await playBack([{ atMs: 6, command: REMOVE, installs: false }], [{ state: 'ordered' }]);
  expect(again).toEqual([['stored', 'ordered', false, 5, 'other']]);
});

it('says which commands it could not read, and nothing of removals', async () => {
  const unread = [
    { atMs: 6, command: null },
    { atMs: 7, command: { ...INSTALL, Payload: utf8('no profile') } },
    { atMs: 8 },
    { atMs: 9, installs: false },
  ];
  expect(await playBack(unread)).toEqual([
    ['command-6', 'installed', true, 6, 'unreadable'],
    ['command-7', 'installed', true, 7, 'unreadable'],
    ['command-8', 'installed', true, 8, 'limit'],
  ]);
});
