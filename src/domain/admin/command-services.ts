/**
 * What the admin API needs of the command queue: ordering, following, taking back, and repeating what ended. Refusals are
 * closed unions; a dependency that fails throws `Unavailable`.
 */
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandRefusal } from '../command/admission.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { DeviceState, MalformedCursor, Page, PageQuery, UnknownDevice } from './services.ts';

export type CommandPriority = 'urgent' | 'normal';
export type PendingState = 'pending' | 'delivered' | 'not-now';
export type FinalState = 'acknowledged' | 'error' | 'expired' | 'canceled';
export type CommandState = PendingState | FinalState;

export interface CommandSummary {
  readonly commandUuid: CommandUuid;
  readonly udid: Udid;
  readonly requestType: string;
  readonly state: CommandState;
  /** The device's `Status`, once it answered. */
  readonly status: string | null;
  readonly createdAtMs: EpochMs;
  readonly expiresAtMs: EpochMs | null;
  readonly answeredAtMs: EpochMs | null;
}

export interface CommandRecord extends CommandSummary {
  /** The device's plist exactly as it came. */
  readonly result: Bytes | null;
  /** As it was ordered, with what is secret masked; null where that was not kept. */
  readonly command: JsonValue | null;
  /** Null where it was not kept. */
  readonly priority: CommandPriority | null;
  /** The last time it went out; `null` when it never did, or was not kept. */
  readonly deliveredAtMs: EpochMs | null;
  readonly deliveries: number;
  readonly notNows: number;
  /** The command that it repeats. */
  readonly requeuedFrom: CommandUuid | null;
  /** Those that repeat it, oldest first. */
  readonly requeuedAs: readonly CommandUuid[];
  /** The stored profile of which it is the last order on the device, and the version that it installs or removes. */
  readonly profile: { readonly identifier: string; readonly version: number } | null;
}

export interface NewCommand {
  readonly udid: Udid;
  readonly commandUuid: CommandUuid;
  /** The value of `command`'s `RequestType`. */
  readonly requestType: string;
  /** The whole `Command` dictionary. */
  readonly command: PlistDict;
  readonly priority: CommandPriority;
  readonly expiresAtMs: EpochMs | null;
  /** Whether to wake the device; without, it gets the command when it next asks. */
  readonly push: boolean;
  /** Takes keys, and a whole command, that the catalog does not know. */
  readonly allowUnknown?: boolean;
  /** The command that it repeats, if any. */
  readonly requeuedFrom?: CommandUuid;
}

export interface Enqueued {
  readonly command: CommandSummary;
  /** False when this very command was already queued: nothing was done. */
  readonly created: boolean;
}

export type EnqueueRefusal =
  | UnknownDevice
  | { readonly kind: 'device-not-enrolled'; readonly state: DeviceState }
  | CommandRefusal
  | { readonly kind: 'queue-full'; readonly pendingMax: number }
  /** The UUID names a command of another device, or one whose dictionary differs. */
  | {
      readonly kind: 'command-conflict';
      readonly commandUuid: CommandUuid;
      readonly of: 'another-device' | 'other-content';
    };

export type UnknownCommand = { readonly kind: 'unknown-command'; readonly commandUuid: CommandUuid };
export type CancelRefusal =
  | UnknownDevice
  | UnknownCommand
  /** Only what no device is working on (`pending`, `not-now`) can be taken back. */
  | { readonly kind: 'command-not-pending'; readonly state: CommandState };

/**
 * The queue and its history. `enqueue` is durable on return and idempotent by CommandUUID: the same UUID with
 * the same device and dictionary answers with the command as it stands, whatever its state. A new one is judged first:
 * nothing is queued that the catalog says the device does not take.
 */
export interface CommandService {
  enqueue(command: NewCommand, nowMs: EpochMs): Promise<Outcome<Enqueued, EnqueueRefusal>>;
  /** Newest first. */
  list(
    udid: Udid,
    filter: CommandFilter,
    page: PageQuery,
    nowMs: EpochMs,
  ): Promise<Outcome<CommandPage, MalformedCursor | UnknownDevice>>;
  /** Also finds commands of earlier enrollments, as long as history is kept. */
  find(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRecord | null>;
  cancel(
    udid: Udid,
    commandUuid: CommandUuid,
    nowMs: EpochMs,
  ): Promise<Outcome<CommandSummary, CancelRefusal>>;
  /** What an ended command said. One that the device acknowledged is only given out if `again` says so. */
  repeatable(
    udid: Udid,
    commandUuid: CommandUuid,
    again: boolean,
    nowMs: EpochMs,
  ): Promise<Outcome<RepeatableCommand, RepeatRefusal>>;
}

/** Those of which all that is given hold. */
export interface CommandFilter {
  readonly state: CommandState | null;
  readonly requestType: string | null;
}

export interface CommandPage extends Page<CommandSummary> {
  /** How many of the device's commands have not ended, whatever the filter. */
  readonly pending: number;
}

/** A command that ended, to be ordered anew. */
export interface RepeatableCommand {
  readonly requestType: string;
  readonly command: PlistDict;
  readonly priority: CommandPriority | null;
}

export type RepeatRefusal =
  | UnknownDevice
  | UnknownCommand
  | { readonly kind: 'command-not-ended'; readonly state: CommandState }
  /** It was done; doing it again must be asked for. */
  | { readonly kind: 'command-acknowledged' }
  /** The server makes and sends it by itself. */
  | { readonly kind: 'command-is-own' }
  /** The last order of a stored profile on the device, whose record goes by the command: it is ordered there. */
  | { readonly kind: 'command-of-profile'; readonly identifier: string }
  /** What it said was not kept, or does not open with the storage key. */
  | { readonly kind: 'content-lost' };
