/** What a command says, at rest and on its way out, under a real key. */
import { beforeAll, describe, expect, it } from 'vitest';
import { CommandContents } from '../../../src/domain/command/content.ts';
import type { CommandBody } from '../../../src/domain/command/queue.ts';
import { commandSecrets } from '../../../src/domain/command/seal.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import { type KeyMarks, StorageKey } from '../../../src/domain/storage-key.ts';
import { importSealKey, type SealKey, sealSecret } from '../../../src/pki/seal.ts';
import { encodeCommand } from '../../../src/protocol/mdm/connect.ts';
import { jsonToPlist } from '../../../src/protocol/plist/json.ts';
import { parsePlistDict } from '../../../src/protocol/plist/parse.ts';
import { isDict, type PlistDict, type PlistValue } from '../../../src/protocol/plist/value.ts';
import { readUtf8, utf8 } from '../../../src/std/bytes.ts';
import { value } from '../../support/pairing.ts';

const [DEVICE, OTHER] = ['DEVICE-0001' as Udid, 'DEVICE-0002' as Udid];
const [A, B] = ['A' as CommandUuid, 'B' as CommandUuid];
const lock = new Map([
  ['RequestType', 'DeviceLock'],
  ['PIN', '123456'],
]);
const clear = new Map([['RequestType', 'ClearPasscode']]);

let key: SealKey;
let contents: CommandContents;

/** No other key was ever here. */
const marks: KeyMarks = { find: async () => null, leave: async (mark) => mark };

beforeAll(async () => {
  key = await importSealKey(btoa('k'.repeat(32)));
  contents = new CommandContents(commandSecrets(new StorageKey(key, marks)));
});

const damaged = ({ sealed, bytes }: CommandBody): CommandBody => ({
  sealed,
  bytes: bytes.map((octet, i) => (i === bytes.length - 1 ? octet ^ 1 : octet)),
});

const outgoing = (body: CommandBody, over: { requestType?: string; unlockToken?: string; of?: Udid } = {}) =>
  (async () => {
    const { requestType = 'DeviceLock', unlockToken, of = DEVICE } = over;
    const sealed =
      unlockToken === undefined ? null : await sealSecret(key, utf8(unlockToken), `unlock-token/${of}`);
    return contents.outgoing(DEVICE, { commandUuid: A, requestType, body, unlockToken: sealed });
  })();

describe('a sealed command', () => {
  it('shows nothing of what it says, and no two seals are the same', async () => {
    const [one, other] = [await contents.seal(DEVICE, A, lock), await contents.seal(DEVICE, A, lock)];
    expect(one.sealed).toBe(true);
    expect(new TextDecoder('latin1').decode(one.bytes)).not.toContain('123456');
    expect(one.bytes).not.toEqual(other.bytes);
  });

  it('goes out as the plist that it was, to its own device, under its own CommandUUID', async () => {
    const body = await contents.seal(DEVICE, A, lock);
    expect(value(await outgoing(body))).toEqual(encodeCommand(A, lock));
    expect(await contents.read(DEVICE, A, body)).toEqual(lock);
    expect(await contents.read(OTHER, A, body)).toBeNull();
    expect(await contents.read(DEVICE, B, body)).toBeNull();
    expect(await contents.read(DEVICE, A, damaged(body))).toBeNull();
    expect(await contents.read(DEVICE, A, null)).toBeNull();
  });

  it('is the same as another if it says the same', async () => {
    const body = await contents.seal(DEVICE, A, lock);
    expect(await contents.isSame(DEVICE, A, body, new Map(lock))).toBe(true);
    expect(await contents.isSame(DEVICE, A, body, new Map([...lock, ['PIN', '123457']]))).toBe(false);
    expect(await contents.isSame(DEVICE, A, damaged(body), lock)).toBe(false);
    expect(await contents.isSame(DEVICE, A, null, lock)).toBe(false);
  });

  it('that does not open is given up', async () => {
    expect(await outgoing(damaged(await contents.seal(DEVICE, A, lock)))).toEqual({
      ok: false,
      refusal: { kind: 'given-up', status: 'NotOpened' },
    });
  });

  it('may be as deep and as large as an order can be', async () => {
    let deep: unknown = 'end';
    for (let level = 1; level < 32; level++) deep = { k: deep };
    const wide = Array.from({ length: 19_900 }, () => true);
    for (const command of [
      { RequestType: 'X', deep },
      { RequestType: 'X', wide },
    ]) {
      const dict = jsonToPlist(command);
      if (!dict.ok) continue;
      const body = await contents.seal(DEVICE, A, dict.value as PlistDict);
      expect(await contents.read(DEVICE, A, body)).toEqual(dict.value);
    }
    expect(jsonToPlist({ RequestType: 'X', wide }).ok).toBe(true);
  });
});

it('a command of the object’s own is in clear, and goes out as it is', async () => {
  const own = { sealed: false, bytes: utf8('<plist/>') };
  expect(readUtf8(value(await outgoing(own)))).toBe('<plist/>');
});

describe('ClearPasscode', () => {
  const tokenIn = (plist: PlistValue | undefined) => (isDict(plist) ? plist.get('UnlockToken') : undefined);

  it('gets the token of its device on the way out, and keeps the rest of what it says', async () => {
    const body = await contents.seal(DEVICE, A, new Map([...clear, ['Other', 'key']]));
    const out = value(await outgoing(body, { requestType: 'ClearPasscode', unlockToken: 'the token' }));
    const plist = value(parsePlistDict(out));
    expect(plist.get('CommandUUID')).toBe('A');
    expect(tokenIn(plist.get('Command'))).toEqual(utf8('the token'));
    expect([...(plist.get('Command') as PlistDict).keys()]).toEqual(['RequestType', 'Other', 'UnlockToken']);
    expect(await contents.read(DEVICE, A, body)).toEqual(new Map([...clear, ['Other', 'key']]));
  });

  it.each([
    ['without a token', {}, 'NoUnlockToken'],
    ['with the token of another device', { unlockToken: 'the token', of: OTHER }, 'NotOpened'],
  ] as const)('%s is given up', async (_case, over, status) => {
    const body = await contents.seal(DEVICE, A, clear);
    expect(await outgoing(body, { requestType: 'ClearPasscode', ...over })).toMatchObject({
      refusal: { status },
    });
  });

  it('alone gets it', async () => {
    const out = value(await outgoing(await contents.seal(DEVICE, A, lock), { unlockToken: 'the token' }));
    expect(readUtf8(out)).not.toContain('UnlockToken');
  });
});
