/**
 * One push as it came: what APNs would refuse it for, in the order of path, headers and payload. The certificate
 * decides the topic. What Apple leaves to the device (the payload's form) is counted as a defect here, because an
 * MDM push that is not exactly `{"mdm": "…"}` wakes nobody and nobody is told.
 */
import type { IncomingHttpHeaders } from 'node:http2';
import type { Reason } from './reasons.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const PAYLOAD_BYTES_MAX = 4096;
/** What a person without a device can ask for, to see whether APNs is there. */
const ALL_ZERO = /^0+$/;

/** What the TLS client certificate said of the sender. */
export interface Peer {
  readonly presented: boolean;
  readonly trusted: boolean;
  /** The subject UID. */
  readonly topic: string | null;
}

export interface ReceivedPush {
  readonly id: string;
  readonly token: string;
  readonly magic: string;
  readonly pushType: string;
  readonly priority: string;
  readonly expiration: string;
}

export type Judgement =
  | { readonly kind: 'good'; readonly push: ReceivedPush }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly token: string; readonly defect?: string };

export function judge(headers: IncomingHttpHeaders, body: Buffer, peer: Peer, id: string): Judgement {
  const token = /^\/3\/device\/([^/?]*)$/.exec(headers[':path'] ?? '')?.[1] ?? null;
  const refused = (reason: Reason): Judgement => ({ kind: 'refused', reason, token: token ?? '' });
  if (!peer.presented) return refused('MissingProviderToken');
  if (!peer.trusted || !/^com\.apple\.mgmt\./.test(peer.topic ?? '')) return refused('BadCertificate');
  if (headers[':method'] !== 'POST') return refused('MethodNotAllowed');
  if (token === null) return refused('BadPath');
  if (token === '') return refused('MissingDeviceToken');
  const reason = badHeader(headers, peer.topic ?? '') ?? badPayload(body);
  if (reason !== null) return refused(reason);
  if (!/^(?:[0-9a-f]{2})+$/i.test(token) || ALL_ZERO.test(token)) return refused('BadDeviceToken');
  const magic = readMagic(body);
  if (magic === null) return { kind: 'refused', reason: 'PayloadEmpty', token, defect: 'payload' };
  const value = (name: string) => String(headers[name] ?? '');
  const [pushType, priority, expiration] = [
    value('apns-push-type'),
    value('apns-priority'),
    value('apns-expiration'),
  ];
  return { kind: 'good', push: { id, token: token.toLowerCase(), magic, pushType, priority, expiration } };
}

function badHeader(headers: IncomingHttpHeaders, certified: string): Reason | null {
  const id = headers['apns-id'];
  const topic = headers['apns-topic'];
  if (id !== undefined && !UUID.test(String(id))) return 'BadMessageId';
  if (topic === undefined) return 'MissingTopic';
  if (!/^[\w.-]+$/.test(String(topic))) return 'BadTopic';
  if (topic !== certified) return 'TopicDisallowed';
  if (headers['apns-push-type'] !== 'mdm') return 'InvalidPushType';
  if (!/^(?:1|5|10)$/.test(String(headers['apns-priority'] ?? '10'))) return 'BadPriority';
  if (!/^\d{1,12}$/.test(String(headers['apns-expiration'] ?? '0'))) return 'BadExpirationDate';
  return null;
}

function badPayload(body: Buffer): Reason | null {
  if (body.length === 0) return 'PayloadEmpty';
  return body.length > PAYLOAD_BYTES_MAX ? 'PayloadTooLarge' : null;
}

/** Exactly `{"mdm":"…"}`: no `aps`, nothing beside it, no white space. */
function readMagic(body: Buffer): string | null {
  const text = body.toString();
  try {
    const value = JSON.parse(text) as { mdm?: unknown };
    const { mdm } = value;
    return typeof mdm === 'string' && text === JSON.stringify({ mdm }) ? mdm : null;
  } catch {
    // Not JSON: the same defect.
    return null;
  }
}
