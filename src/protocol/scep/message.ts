/**
 * A SCEP pkiMessage (RFC 8894 §3): CMS SignedData whose signed attributes say what it is and whose content is an
 * envelope. Read here as far as is needed to answer at all; whether it may be believed is decided later.
 *
 * transactionID is echoed as the TLV that came, whatever string type it has. messageType and senderNonce may be
 * missing: such a message is refused with a reply. One without transactionID cannot be replied to.
 */
import { BerReader, TAG } from '../../pki/ber.ts';
import { parseSignedData, type SignedData } from '../../pki/cms-signed.ts';
import { type Bytes, readUtf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';

/** RFC 8894 §3.2: Verisign's arc, kept for history's sake. */
export const SCEP_OID = {
  messageType: '2.16.840.1.113733.1.9.2',
  pkiStatus: '2.16.840.1.113733.1.9.3',
  failInfo: '2.16.840.1.113733.1.9.4',
  senderNonce: '2.16.840.1.113733.1.9.5',
  recipientNonce: '2.16.840.1.113733.1.9.6',
  transactionId: '2.16.840.1.113733.1.9.7',
  failInfoText: '1.3.6.1.5.5.7.24.1',
} as const;

/** RFC 8894 §3.2.1.2. Of the requests, those that ask for a certificate are served. */
export const MESSAGE_TYPE = { certRep: '3', renewalReq: '17', pkcsReq: '19' } as const;

export interface ScepMessage {
  readonly signed: SignedData;
  /** The envelope, not looked at yet. */
  readonly content: Bytes;
  readonly messageType: string | null;
  /** As it came, identifier and length included. */
  readonly transactionId: Bytes;
  readonly senderNonce: Bytes | null;
}

export type MalformedScepMessage = { readonly kind: 'malformed-message'; readonly reason: string };

/** RFC 8894 §3.2.1.1 wants uniqueness, no length; clients send a digest in hex, 32 to 128 characters. */
const TRANSACTION_ID_BYTES_MAX = 256;
/** RFC 8894 §3.2.1.5: 16 octets. Observed: iOS 9 sends 8. */
const NONCE_BYTES_MAX = 64;
const PRINTABLE_STRING = 0x13;
const STRINGS: ReadonlySet<number> = new Set([TAG.utf8String, PRINTABLE_STRING, 0x16]);

export function parseScepMessage(bytes: Bytes): Outcome<ScepMessage, MalformedScepMessage> {
  const parsed = parseSignedData(bytes);
  if (!parsed.ok) {
    const { refusal } = parsed;
    return malformed('reason' in refusal ? refusal.reason : refusal.kind);
  }
  const signed = parsed.value;
  const transactionId = signed.attribute(SCEP_OID.transactionId);
  if (transactionId === null) return malformed('no transactionID');
  const text = stringValue(transactionId);
  if (text === null || text.length === 0) return malformed('transactionID is no string');
  if (transactionId.length > TRANSACTION_ID_BYTES_MAX) return malformed('transactionID too long');
  return ok({
    signed,
    content: signed.content ?? new Uint8Array(0),
    messageType: messageType(signed.attribute(SCEP_OID.messageType)),
    transactionId,
    senderNonce: nonce(signed.attribute(SCEP_OID.senderNonce)),
  });
}

function malformed(reason: string) {
  return refuse<MalformedScepMessage>({ kind: 'malformed-message', reason });
}

function stringValue(tlv: Bytes | null): string | null {
  if (tlv === null) return null;
  const reader = new BerReader(tlv);
  const tag = reader.peek();
  const value = STRINGS.has(tag) ? reader.primitive(tag) : null;
  return value !== null && reader.finish() ? readUtf8(value) : null;
}

/** A decimal number; anything longer is not one of RFC 8894 §3.2.1.2 and is not carried along. */
function messageType(tlv: Bytes | null): string | null {
  const text = stringValue(tlv);
  return text !== null && /^[0-9]{1,4}$/.test(text) ? text : null;
}

function nonce(tlv: Bytes | null): Bytes | null {
  if (tlv === null) return null;
  const reader = new BerReader(tlv);
  const value = reader.octetString();
  return reader.finish() && value.length > 0 && value.length <= NONCE_BYTES_MAX ? value : null;
}
