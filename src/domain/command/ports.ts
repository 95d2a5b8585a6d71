/** What the command queue needs from the fleet's records and from the devices' objects. */
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  CommandPriority,
  CommandRecord,
  CommandState,
  CommandSummary,
  MalformedCursor,
  Page,
  PageQuery,
} from '../admin/services.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { Candidate } from './queue.ts';

export interface QueuedCommand {
  readonly commandUuid: CommandUuid;
  readonly udid: Udid;
  readonly enrollmentId: string;
  readonly requestType: string;
  /** The plist that the device gets. */
  readonly body: string;
  readonly priority: CommandPriority;
  readonly createdAtMs: EpochMs;
  readonly expiresAtMs: EpochMs | null;
  /** As `inventoryScope` says: what its answer may replace in the device's inventory. */
  readonly inventoryScope: string | null;
}

/** A command that is committed, and for which enrollment; what an object is told of it. */
export type UnnotedCommand = Pick<QueuedCommand, 'commandUuid' | 'udid' | 'enrollmentId'>;

/** Pending commands and history. Durable on return; nothing here decides what a device is given. */
export interface CommandStore {
  /** False when a command of this UUID exists, pending or in history, or `pendingMax` wait already. Atomic. */
  insert(command: QueuedCommand, pendingMax: number): Promise<boolean>;
  /** What was stored under the UUID: whose, and the plist. Null when there is none. */
  stored(commandUuid: CommandUuid): Promise<{ readonly udid: Udid; readonly body: string } | null>;
  /** In order of delivery, unexpired, of this enrollment. */
  next(udid: Udid, enrollmentId: string, nowMs: EpochMs, limit: number): Promise<readonly Candidate[]>;
  /** The device's object knows that work waits. */
  noted(commandUuid: CommandUuid, nowMs: EpochMs): Promise<void>;
  /** Old enough commands that no object was told of, oldest first. */
  unnoted(createdBeforeMs: EpochMs, limit: number): Promise<readonly UnnotedCommand[]>;
  /** Moves expired commands that no device holds to history; returns how many. */
  expire(nowMs: EpochMs): Promise<number>;
  find(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRecord | null>;
  list(udid: Udid, page: PageQuery, nowMs: EpochMs): Promise<Outcome<Page<CommandSummary>, MalformedCursor>>;
}

/** Wakes a device by push. Best effort: a device that is not woken is found by the sweeper. */
export interface Waker {
  wake(udid: Udid): Promise<void>;
}

export type { CommandState };
