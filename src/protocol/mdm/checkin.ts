/**
 * Check-in messages (facts 2; Apple: Authenticate, Token Update, Check Out, Get Token, Declarative Management, Get and
 * Set Bootstrap Token, User Authenticate). The device channel only: a message of a user channel is read as far as it
 * takes to decline it, and user enrollment (EnrollmentID instead of UDID) is refused by name.
 */
import type { SerialNumber, Udid } from '../../domain/ids.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { parsePlistDict } from '../plist/parse.ts';
import type { PlistDict } from '../plist/value.ts';
import { MessageReader, type MessageRefusal } from './message.ts';

interface Base<Type extends string> {
  readonly type: Type;
  readonly udid: Udid;
  /** The body exactly as it came. */
  readonly raw: Bytes;
}

/** All but the UDID and topic depend on access right 16. */
export interface Authenticate extends Base<'Authenticate'> {
  readonly topic: string;
  readonly serial: SerialNumber | null;
  readonly osVersion: string | null;
  readonly buildVersion: string | null;
  readonly productName: string | null;
  readonly imei: string | null;
  readonly meid: string | null;
}

export interface TokenUpdate extends Base<'TokenUpdate'> {
  readonly topic: string;
  readonly token: Bytes;
  readonly pushMagic: string;
  /** Absent does not clear the stored one. */
  readonly unlockToken: Bytes | null;
  /** iPhone only: it waits in Setup Assistant for `DeviceConfigured`. */
  readonly awaitingConfiguration: boolean;
}

export interface CheckOut extends Base<'CheckOut'> {
  readonly topic: string;
}

export interface WatchPairingParameters {
  readonly securityToken: string;
  readonly phoneUdid: Udid;
  readonly watchUdid: Udid;
}

export interface GetToken extends Base<'GetToken'> {
  readonly service: string;
  /** As sent. */
  readonly parameters: PlistDict;
  /** Read when the service is `com.apple.watch.pairing`, and null otherwise. */
  readonly watchPairing: WatchPairingParameters | null;
}

export interface DeclarativeManagement extends Base<'DeclarativeManagement'> {
  readonly endpoint: string;
  readonly data: Bytes | null;
}

export interface SetBootstrapToken extends Base<'SetBootstrapToken'> {
  /** Null clears the stored one. */
  readonly bootstrapToken: Bytes | null;
}

export type GetBootstrapToken = Base<'GetBootstrapToken'>;

/** Asks whether a user channel is managed; 410 declines it. */
export type UserAuthenticate = Base<'UserAuthenticate'>;

/** Any other message that names a user: of no use to a watch or an iPhone. */
export interface UserChannel extends Base<'UserChannel'> {
  readonly messageType: string;
  readonly userId: string;
}

export type CheckInMessage =
  | Authenticate
  | TokenUpdate
  | CheckOut
  | GetToken
  | DeclarativeManagement
  | SetBootstrapToken
  | GetBootstrapToken
  | UserAuthenticate
  | UserChannel;

export type CheckInRefusal =
  | MessageRefusal
  | { readonly kind: 'enrollment-id-not-supported' }
  | { readonly kind: 'unknown-message-type'; readonly messageType: string };

export const WATCH_PAIRING_SERVICE = 'com.apple.watch.pairing';

/** APNs calls a token's length variable; 32 bytes is what is seen, and odd lengths are. */
const PUSH_TOKEN_BYTES_MAX = 256;
/** Usually a UUID of 36; not always. */
const PUSH_MAGIC_CHARS_MAX = 256;
/** 1 to 2 kB is seen; it is stored once a device. */
const UNLOCK_TOKEN_BYTES_MAX = 64 * 1024;
const BOOTSTRAP_TOKEN_BYTES_MAX = 64 * 1024;
/** We send a UUID. */
const SECURITY_TOKEN_CHARS_MAX = 128;
/** The body of a check-in is read up to 4 MiB at most, so this never says no first. */
const STATUS_BYTES_MAX = 4 * 1024 * 1024;

export function parseCheckIn(bytes: Bytes): Outcome<CheckInMessage, CheckInRefusal> {
  const plist = parsePlistDict(bytes);
  if (!plist.ok) return plist;
  const reader = new MessageReader(plist.value);
  const messageType = reader.string('MessageType');
  if (!reader.has('UDID') && reader.has('EnrollmentID'))
    return refuse({ kind: 'enrollment-id-not-supported' });
  const base = { udid: reader.udid(), raw: bytes };
  const head = reader.finish(base);
  if (!head.ok) return head;
  if (reader.has('UserID') && messageType !== 'UserAuthenticate') {
    return reader.finish({ ...base, type: 'UserChannel', messageType, userId: reader.string('UserID') });
  }
  const read = READERS.get(messageType);
  return read === undefined ? refuse({ kind: 'unknown-message-type', messageType }) : read(reader, base);
}

type Head = { readonly udid: Udid; readonly raw: Bytes };
type Read = (reader: MessageReader, head: Head) => Outcome<CheckInMessage, MessageRefusal>;

const READERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['Authenticate', readAuthenticate],
  ['TokenUpdate', readTokenUpdate],
  ['CheckOut', (reader, head) => reader.finish({ ...head, type: 'CheckOut', topic: reader.string('Topic') })],
  ['GetToken', readGetToken],
  ['DeclarativeManagement', readDeclarativeManagement],
  ['SetBootstrapToken', readSetBootstrapToken],
  ['GetBootstrapToken', (_reader, head) => ok({ ...head, type: 'GetBootstrapToken' })],
  ['UserAuthenticate', (_reader, head) => ok({ ...head, type: 'UserAuthenticate' })],
]);

function readAuthenticate(reader: MessageReader, head: Head): Outcome<Authenticate, MessageRefusal> {
  return reader.finish({
    ...head,
    type: 'Authenticate',
    topic: reader.string('Topic'),
    serial: reader.optionalSerialNumber('SerialNumber'),
    osVersion: reader.optionalString('OSVersion'),
    buildVersion: reader.optionalString('BuildVersion'),
    productName: reader.optionalString('ProductName'),
    imei: reader.optionalString('IMEI'),
    meid: reader.optionalString('MEID'),
  });
}

function readTokenUpdate(reader: MessageReader, head: Head): Outcome<TokenUpdate, MessageRefusal> {
  return reader.finish({
    ...head,
    type: 'TokenUpdate',
    topic: reader.string('Topic'),
    token: reader.data('Token', PUSH_TOKEN_BYTES_MAX),
    pushMagic: reader.string('PushMagic', PUSH_MAGIC_CHARS_MAX),
    unlockToken: reader.optionalData('UnlockToken', UNLOCK_TOKEN_BYTES_MAX),
    awaitingConfiguration: reader.optionalBoolean('AwaitingConfiguration') ?? false,
  });
}

/** Facts 5, step 6: the three parameters are optional in the schema and required by this service. */
function readGetToken(reader: MessageReader, head: Head): Outcome<GetToken, MessageRefusal> {
  const service = reader.string('TokenServiceType');
  const parameters: PlistDict = reader.optionalDict('TokenParameters') ?? new Map();
  const message = { ...head, type: 'GetToken', service, parameters, watchPairing: null } as const;
  if (service !== WATCH_PAIRING_SERVICE) return reader.finish(message);
  const own = reader.finish(message);
  if (!own.ok) return own;
  const inner = new MessageReader(parameters, 'TokenParameters.');
  return inner.finish({
    ...message,
    watchPairing: {
      securityToken: inner.string('SecurityToken', SECURITY_TOKEN_CHARS_MAX),
      phoneUdid: inner.udid('PhoneUDID'),
      watchUdid: inner.udid('WatchUDID'),
    },
  });
}

function readDeclarativeManagement(
  reader: MessageReader,
  head: Head,
): Outcome<DeclarativeManagement, MessageRefusal> {
  return reader.finish({
    ...head,
    type: 'DeclarativeManagement',
    endpoint: reader.string('Endpoint'),
    data: reader.optionalData('Data', STATUS_BYTES_MAX),
  });
}

function readSetBootstrapToken(
  reader: MessageReader,
  head: Head,
): Outcome<SetBootstrapToken, MessageRefusal> {
  const token = reader.optionalData('BootstrapToken', BOOTSTRAP_TOKEN_BYTES_MAX);
  return reader.finish({
    ...head,
    type: 'SetBootstrapToken',
    bootstrapToken: token === null || token.length === 0 ? null : token,
  });
}
