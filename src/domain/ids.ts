/**
 * Identifiers that devices and administrators send. Only `parse…` makes one, so a value of these types was
 * checked. Limits are ours: Apple documents no grammar, and these hold for every form seen in the field.
 */
import { type Outcome, ok, refuse } from '../std/outcome.ts';

type Branded<B extends string> = string & { readonly __brand: B };

/** 40 hex digits (older), 8-16 (current), or a UUID (simulators): an opaque name. */
export type Udid = Branded<'Udid'>;
export type SerialNumber = Branded<'SerialNumber'>;
/** Chosen by us or by an administrator's tool; compared exactly. */
export type CommandUuid = Branded<'CommandUuid'>;

export type MalformedIdentifier = { readonly kind: 'malformed-identifier'; readonly field: string };

/** Up to 64 characters: the longest UDID seen has 40, and the value names a Durable Object. */
const UDID = /^[A-Za-z0-9-]{8,64}$/;
/** Apple serial numbers have 8 to 14 characters; simulators and labs use a few more. */
const SERIAL = /^[A-Za-z0-9-]{4,32}$/;
const COMMAND_UUID = /^[\x21-\x7e]{1,128}$/;

export const parseUdid = parser<Udid>('UDID', UDID);
export const parseSerialNumber = parser<SerialNumber>('SerialNumber', SERIAL);
export const parseCommandUuid = parser<CommandUuid>('CommandUUID', COMMAND_UUID);

function parser<T extends string>(field: string, form: RegExp) {
  return (value: unknown): Outcome<T, MalformedIdentifier> =>
    typeof value === 'string' && form.test(value)
      ? ok(value as T)
      : refuse({ kind: 'malformed-identifier', field });
}

/** The two kinds of device managed here. */
export type Platform = 'iOS' | 'watchOS';
