/**
 * The contract between the Worker and the relay, version 1: what `POST /v1/push` takes and gives. Everything is
 * checked before anything is sent, so that a bad request wakes nobody and a good one is answered push by push.
 */

export const BODY_BYTES_MAX = 512 * 1024;
export const PUSHES_MAX = 500;
/** Apple's tokens have 32 octets today and are documented as variable; the path must stay far under 4 KiB. */
const TOKEN_HEX_MAX = 400;
/** PushMagic is a UUID on every device seen; with its frame it must stay under APNs' 4 KiB of payload. */
const MAGIC_CHARACTERS_MAX = 512;
/** 30 days, as long as APNs may be asked to keep a notification. A point in time would be far above it. */
export const EXPIRATION_SECONDS_MAX = 30 * 86_400;

export interface Push {
  /** A UUID, sent as `apns-id`. */
  readonly id: string;
  /** Lower-case hexadecimal. */
  readonly token: string;
  readonly magic: string;
}

export interface PushRequest {
  readonly topic: string;
  readonly pushType: string;
  readonly priority: number;
  /** 0: try once. Otherwise how long, from now, APNs keeps it for a device that is away. */
  readonly expirationSeconds: number;
  readonly pushes: readonly Push[];
}

export interface PushResult {
  readonly id: string;
  /** APNs' status; 0 when no answer came. */
  readonly status: number;
  /** APNs' reason, or why there is no answer; null when APNs gave none, as with 200. */
  readonly reason: string | null;
  /** With 410: since when the token has been dead. */
  readonly timestampMs: number | null;
  /** With 429, and whenever APNs said so: when to try this device again. */
  readonly retryAfterSeconds: number | null;
}

export type Parsed =
  | { readonly ok: true; readonly value: PushRequest }
  | { readonly ok: false; readonly problem: string };

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const PUSH_TYPE = /^[a-z][a-z-]{0,31}$/;
const PRIORITIES = [1, 5, 10];

type Fields = Readonly<Record<string, unknown>>;

/** `topic` is the certificate's: pushes under any other would be refused by APNs one by one. */
export function parsePushRequest(body: Uint8Array, topic: string): Parsed {
  const fields = readObject(body);
  if (fields === null) return bad('the body is not a JSON object');
  const { pushType, priority, expirationSeconds, pushes } = fields;
  if (fields['topic'] !== topic) return bad('topic is not that of the push certificate');
  if (typeof pushType !== 'string' || !PUSH_TYPE.test(pushType)) return bad('pushType is not a push type');
  if (typeof priority !== 'number' || !PRIORITIES.includes(priority))
    return bad('priority is not 1, 5 or 10');
  if (!isCount(expirationSeconds, EXPIRATION_SECONDS_MAX)) {
    return bad(`expirationSeconds is not a whole number from 0 to ${EXPIRATION_SECONDS_MAX}`);
  }
  if (!Array.isArray(pushes) || pushes.length === 0) return bad('pushes is not a list of at least one');
  if (pushes.length > PUSHES_MAX) return bad(`pushes has more than ${PUSHES_MAX} members`);
  const read = readPushes(pushes);
  if (typeof read === 'string') return bad(read);
  return { ok: true, value: { topic, pushType, priority, expirationSeconds, pushes: read } };
}

/** The pushes, or what is wrong with the first bad one. Values are not repeated: they are secrets. */
function readPushes(list: readonly unknown[]): Push[] | string {
  const seen = new Set<string>();
  const pushes: Push[] = [];
  for (const [index, one] of list.entries()) {
    const { id, token, magic } = (isObject(one) ? one : {}) as Fields;
    if (typeof id !== 'string' || !UUID.test(id)) return `pushes[${index}].id is not a UUID`;
    if (seen.has(id.toLowerCase())) return `pushes[${index}].id is in the list twice`;
    if (!isToken(token)) return `pushes[${index}].token is not the hexadecimal form of a device token`;
    if (typeof magic !== 'string' || magic.length === 0 || magic.length > MAGIC_CHARACTERS_MAX) {
      return `pushes[${index}].magic is not a text of 1 to ${MAGIC_CHARACTERS_MAX} characters`;
    }
    seen.add(id.toLowerCase());
    pushes.push({ id, token: token.toLowerCase(), magic });
  }
  return pushes;
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TOKEN_HEX_MAX && /^(?:[0-9a-f]{2})+$/i.test(value);
}

function isCount(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

function readObject(body: Uint8Array): Fields | null {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body),
    );
    return isObject(value) ? value : null;
  } catch {
    // Not UTF-8 or not JSON: one and the same refusal.
    return null;
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(problem: string): Parsed {
  return { ok: false, problem };
}
