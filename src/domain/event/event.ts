/**
 * What happened to a device, for programs that follow the fleet. The device's object decides it together with the fact
 * and tells it once: each event has a number of that object's, so told again it is the same event. Every event is
 * bounded, and what is too large is named without its content: the device's status has it. What becomes of deployments
 * of apps D1 decides, and tells itself.
 */
import type { JsonValue } from '../../protocol/plist/json.ts';
import { utf8 } from '../../std/bytes.ts';
import type { DeclarationStatus } from '../declaration/manifest.ts';
import type { Platform, SerialNumber } from '../ids.ts';

export const EVENT_KINDS = [
  'status-changed',
  'status-error',
  'declaration-changed',
  'device-enrolled',
  'device-checked-out',
  'command-answered',
  'deployment-changed',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** A side is absent where the item had no value, or where `omitted` names it. */
export interface StatusItemChange {
  readonly name: string;
  readonly from?: JsonValue;
  readonly to?: JsonValue;
  readonly omitted?: readonly ('from' | 'to')[];
}

export interface EventReason {
  readonly code: string;
  readonly description: string | null;
}

interface Subject {
  readonly serial: SerialNumber;
  readonly platform: Platform;
  /** The iPhone that the watch paired with. */
  readonly phone: string | null;
  readonly pairingId: string | null;
}

export type DeviceEvent =
  | { readonly kind: 'status-changed'; readonly changes: readonly StatusItemChange[] }
  | { readonly kind: 'status-error'; readonly name: string; readonly reasons: readonly EventReason[] }
  | {
      readonly kind: 'declaration-changed';
      readonly identifier: string;
      readonly serverToken: string;
      /** Null when the device no longer speaks of the declaration. */
      readonly active: boolean | null;
      readonly valid: DeclarationStatus['valid'] | null;
      readonly reasons: readonly EventReason[];
    }
  | {
      readonly kind: 'command-answered';
      readonly commandUuid: string;
      /** Null when the command had been given up before the answer came. */
      readonly requestType: string | null;
      readonly state: 'acknowledged' | 'error';
      /** The device's, or why the server gave it up. */
      readonly status: string;
    }
  | ({ readonly kind: 'device-enrolled' | 'device-checked-out' } & Subject);

/** Names of what went wrong, in a device's own words: the first few say it. */
const REASONS_MAX = 8;
const REASON_CHARS_MAX = 256;
/** One row of an outbox, one bound value in D1: an eighth of what they hold. */
const BATCH_BYTES_MAX = 256 * 1024;

export function eventReasons(reasons: readonly EventReason[]): readonly EventReason[] {
  return reasons.slice(0, REASONS_MAX).map(({ code, description }) => ({
    code: code.slice(0, REASON_CHARS_MAX),
    description: description?.slice(0, REASON_CHARS_MAX) ?? null,
  }));
}

/** In order; a report of thousands of items or declarations makes more than one message can carry. */
export function batchEvents(events: readonly DeviceEvent[]): readonly (readonly DeviceEvent[])[] {
  return batchBySize(events, BATCH_BYTES_MAX);
}

/** Batches of at most `bytesMax` of JSON; an item that is larger by itself is alone in its batch. */
export function batchBySize<T>(items: readonly T[], bytesMax: number): T[][] {
  const batches: T[][] = [];
  let room = 0;
  for (const item of items) {
    const bytes = utf8(JSON.stringify(item)).length;
    const batch = bytes <= room ? batches.at(-1) : undefined;
    if (batch === undefined) batches.push([item]);
    else batch.push(item);
    room = (batch === undefined ? bytesMax : room) - bytes;
  }
  return batches;
}
