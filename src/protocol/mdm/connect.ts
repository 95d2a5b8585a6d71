/**
 * The command protocol (facts 3; Apple: Sending MDM commands to a device): what a device reports at `ServerURL`, and
 * the command it is answered with. What a result means is not read here.
 */
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import { encodePlist, type PlistInputDict } from '../plist/encode.ts';
import { isBinaryPlist, parsePlistDict } from '../plist/parse.ts';
import { isDict, type PlistDict, type PlistValue, RESULT_LIMITS } from '../plist/value.ts';
import { MessageReader, type MessageRefusal } from './message.ts';

const STATUSES = ['Idle', 'Acknowledged', 'Error', 'CommandFormatError', 'NotNow'] as const;
export type ConnectStatus = (typeof STATUSES)[number];

/** Diagnostic and unstable: for people to read, never for a decision. The first item is the top error. */
export interface CommandError {
  readonly code: number | null;
  readonly domain: string | null;
  readonly description: string | null;
  readonly usEnglishDescription: string | null;
}

export interface ConnectReport {
  readonly udid: Udid;
  readonly status: ConnectStatus;
  /** Null with `Idle`, and wherever the device left it out. */
  readonly commandUuid: CommandUuid | null;
  /** Of `Error`, and empty otherwise. */
  readonly errorChain: readonly CommandError[];
  /** Set on a user channel, which is not managed here. */
  readonly userId: string | null;
  /** The whole report: a command's answer stands at its top level. */
  readonly content: PlistDict;
  /** The body exactly as it came; of a binary property list, the XML that says the same. */
  readonly raw: Bytes;
}

export type ConnectRefusal = MessageRefusal | { readonly kind: 'enrollment-id-not-supported' };

/** Chains of 2 or 3 are seen. What is past this is left in `raw`: a device resends a result until it is taken. */
const ERROR_CHAIN_MAX = 16;

/** What is kept of a result is text, in a row of at most 2 MB; a binary list may be several times as long in XML. */
const RESULT_XML_BYTES_MAX = 1024 * 1024 + 512 * 1024;
const TOO_LARGE_AS_XML = { kind: 'malformed-plist', reason: 'too large as XML', offset: 0 } as const;

export function parseConnect(bytes: Bytes): Outcome<ConnectReport, ConnectRefusal> {
  const plist = parsePlistDict(bytes, RESULT_LIMITS);
  if (!plist.ok) return plist;
  const raw = isBinaryPlist(bytes) ? encodePlist(plist.value) : bytes;
  if (raw.length > RESULT_XML_BYTES_MAX) return { ok: false, refusal: TOO_LARGE_AS_XML };
  const reader = new MessageReader(plist.value);
  if (!reader.has('UDID') && reader.has('EnrollmentID')) {
    return { ok: false, refusal: { kind: 'enrollment-id-not-supported' } };
  }
  return reader.finish({
    udid: reader.udid(),
    status: readStatus(reader),
    commandUuid: reader.optionalCommandUuid('CommandUUID'),
    errorChain: (reader.optionalArray('ErrorChain') ?? []).slice(0, ERROR_CHAIN_MAX).map(readError),
    userId: reader.optionalString('UserID'),
    content: plist.value,
    raw,
  });
}

function readStatus(reader: MessageReader): ConnectStatus {
  const status = reader.string('Status');
  const known = STATUSES.find((candidate) => candidate === status);
  return known ?? ((reader.fail('Status', 'unknown-value') ?? 'Idle') as ConnectStatus);
}

/** Tolerant: a strange error description is no reason to leave a command unanswered for ever. */
function readError(item: PlistValue): CommandError {
  const dict: PlistDict = isDict(item) ? item : new Map();
  const text = (field: string) => {
    const value = dict.get(field);
    return typeof value === 'string' ? value : null;
  };
  const code = dict.get('ErrorCode');
  return {
    code: typeof code === 'number' ? code : null,
    domain: text('ErrorDomain'),
    description: text('LocalizedDescription'),
    usEnglishDescription: text('USEnglishDescription'),
  };
}

/** The answer that carries a command. Without one the answer is zero bytes, not an empty property list. */
export function encodeCommand(commandUuid: CommandUuid, command: PlistInputDict): Bytes {
  return encodePlist({ CommandUUID: commandUuid, Command: command });
}
