/**
 * Distinguished names (RFC 5280 §4.1.2.4). Names are compared as bytes everywhere else; here they are read, for the
 * UDID in a subject and for log lines. Of several values of one type the first is taken.
 */
import type { Bytes } from '../std/bytes.ts';
import { BerReader, TAG } from './ber.ts';
import { OID } from './oid.ts';

/** PrintableString, T61String, IA5String, VisibleString: one octet a character for what certificates hold. */
const ONE_OCTET_STRINGS: ReadonlySet<number> = new Set([0x13, 0x14, 0x16, 0x1a]);
const BMP_STRING = 0x1e;

const utf8Decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
const utf16Decoder = new TextDecoder('utf-16be', { fatal: false, ignoreBOM: true });

/** Attributes of a Name by dotted type. Empty for an empty name and for one that cannot be read. */
export function subjectAttributes(name: Bytes): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  const reader = new BerReader(name, { der: true });
  reader.enter(TAG.sequence);
  while (reader.more()) {
    reader.enter(TAG.set);
    while (reader.more()) {
      reader.enter(TAG.sequence);
      const type = reader.oid();
      const tag = reader.peek();
      const value = text(tag, reader);
      reader.leave();
      if (reader.error === null && !attributes.has(type)) attributes.set(type, value);
    }
    reader.leave();
  }
  reader.leave();
  return reader.finish() ? attributes : new Map();
}

function text(tag: number, reader: BerReader): string {
  if (tag === TAG.utf8String) return utf8Decoder.decode(reader.primitive(tag));
  if (tag === BMP_STRING) return utf16Decoder.decode(reader.primitive(tag));
  if (ONE_OCTET_STRINGS.has(tag)) return String.fromCharCode(...reader.primitive(tag).subarray(0, 256));
  reader.skip();
  return '';
}

const SHORT_NAMES: readonly (readonly [string, string])[] = [
  [OID.country, 'C'],
  [OID.state, 'ST'],
  [OID.locality, 'L'],
  [OID.organization, 'O'],
  [OID.organizationalUnit, 'OU'],
  [OID.commonName, 'CN'],
];

/**
 * The form of a subject, without its values: 'empty subject', 'CN only', 'full subject' (C, ST, L, O, OU and CN), or
 * which of these there are. Known leaked device keys have full subjects (facts 19.11), genuine leaves a bare CN.
 */
export function subjectForm(name: Bytes): string {
  const attributes = subjectAttributes(name);
  if (attributes.size === 0) return 'empty subject';
  const present = SHORT_NAMES.filter(([type]) => attributes.has(type)).map(([, short]) => short);
  if (present.length === SHORT_NAMES.length) return 'full subject';
  if (attributes.size === 1 && present[0] === 'CN') return 'CN only';
  return present.length < attributes.size ? [...present, 'other'].join('+') : present.join('+');
}

const SHORT_NAME: ReadonlyMap<string, string> = new Map(SHORT_NAMES);

/** For people: `C=US, O=Example, CN=a device`, in the certificate's order; what has no short name by its identifier. */
export function nameText(name: Bytes): string {
  const attributes = [...subjectAttributes(name)];
  return attributes.map(([type, value]) => `${SHORT_NAME.get(type) ?? type}=${value}`).join(', ');
}
