/**
 * What a command says: sealed while it waits, opened when it goes out, when it is repeated, and when an administrator
 * looks at it. The one secret that no administrator brings is put in on the way out: ClearPasscode takes the
 * UnlockToken that the device gave with its TokenUpdate, which stands nowhere but sealed in the device's own object.
 */
import { encodeCommand } from '../../protocol/mdm/connect.ts';
import { parsePlistDict } from '../../protocol/plist/parse.ts';
import { isDict, PLIST_LIMITS, type PlistDict } from '../../protocol/plist/value.ts';
import { type Bytes, equalBytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { Delivery } from '../enrollment/device.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { CommandSecrets } from './ports.ts';
import type { CommandBody } from './queue.ts';

/**
 * In place of a device's `Status` where the server gave a command up: three answers could not be read, the body or the
 * token does not open with the storage key, or there is no token any more.
 */
export type GivenUp = 'Unreadable' | 'NotOpened' | 'NoUnlockToken';

const UNLOCK_TOKEN = 'UnlockToken';

/** An order's dictionary keeps to PLIST_LIMITS; here it stands in another, beside the CommandUUID. */
const BODY_LIMITS = { depthMax: PLIST_LIMITS.depthMax + 1, nodesMax: PLIST_LIMITS.nodesMax + 4 };

/** Whether the device's token goes into a command of this kind. */
export function takesUnlockToken(requestType: string): boolean {
  return requestType === 'ClearPasscode';
}

export class CommandContents {
  readonly #secrets: CommandSecrets;

  constructor(secrets: CommandSecrets) {
    this.#secrets = secrets;
  }

  /** Two of the same command differ. */
  async seal(udid: Udid, commandUuid: CommandUuid, command: PlistDict): Promise<CommandBody> {
    const plain = encodeCommand(commandUuid, command);
    return { sealed: true, bytes: await this.#secrets.seal(udid, commandUuid, plain) };
  }

  /** False also when it is not known any more. */
  async isSame(
    udid: Udid,
    commandUuid: CommandUuid,
    stored: CommandBody | null,
    command: PlistDict,
  ): Promise<boolean> {
    const plain = await this.#open(udid, commandUuid, stored);
    return plain !== null && equalBytes(plain, encodeCommand(commandUuid, command));
  }

  /** The `Command` dictionary; null when it was not kept, or does not open with the storage key. */
  async read(udid: Udid, commandUuid: CommandUuid, stored: CommandBody | null): Promise<PlistDict | null> {
    const plain = await this.#open(udid, commandUuid, stored);
    return plain === null ? null : dictionaryIn(plain);
  }

  /** The response body for the device. */
  async outgoing(
    udid: Udid,
    { commandUuid, requestType, body, unlockToken }: Delivery,
  ): Promise<Outcome<Bytes, { readonly kind: 'given-up'; readonly status: GivenUp }>> {
    const plain = await this.#open(udid, commandUuid, body);
    if (plain === null) return givenUp('NotOpened');
    if (!takesUnlockToken(requestType)) return ok(plain);
    if (unlockToken === null) return givenUp('NoUnlockToken');
    const [command, token] = [dictionaryIn(plain), await this.#secrets.openUnlockToken(udid, unlockToken)];
    if (command === null || token === null) return givenUp('NotOpened');
    return ok(encodeCommand(commandUuid, new Map([...command, [UNLOCK_TOKEN, token]])));
  }

  async #open(udid: Udid, commandUuid: CommandUuid, stored: CommandBody | null): Promise<Bytes | null> {
    if (stored === null) return null;
    return stored.sealed ? this.#secrets.open(udid, commandUuid, stored.bytes) : stored.bytes;
  }
}

function dictionaryIn(plain: Bytes): PlistDict | null {
  const plist = parsePlistDict(plain, BODY_LIMITS);
  const command = plist.ok ? plist.value.get('Command') : undefined;
  return isDict(command) ? command : null;
}

function givenUp(status: GivenUp) {
  return refuse({ kind: 'given-up', status } as const);
}
