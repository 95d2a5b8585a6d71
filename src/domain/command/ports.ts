/** What the command queue needs from the fleet's records and from the devices' objects. */
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  CommandFilter,
  CommandPage,
  CommandPriority,
  CommandRecord,
  CommandState,
} from '../admin/command-services.ts';
import type { MalformedCursor, PageQuery } from '../admin/services.ts';
import type { OwnSign } from '../enrollment/ending.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { Candidates, CommandBody } from './queue.ts';

export interface QueuedCommand {
  readonly commandUuid: CommandUuid;
  readonly udid: Udid;
  readonly enrollmentId: string;
  readonly requestType: string;
  readonly body: CommandBody;
  readonly priority: CommandPriority;
  readonly createdAtMs: EpochMs;
  readonly expiresAtMs: EpochMs | null;
  /** As `inventoryScope` says: what its answer may replace in the device's inventory. */
  readonly inventoryScope: string | null;
  /** What its acknowledgement will be a sign of. */
  readonly farewell: OwnSign | null;
  /** The command that it repeats. */
  readonly requeuedFrom: CommandUuid | null;
}

/** A command that is committed, and for which enrollment; what an object is told of it. */
export type UnnotedCommand = Pick<QueuedCommand, 'commandUuid' | 'udid' | 'enrollmentId'>;

/** What was stored under a CommandUUID, for repeating it and for telling whether it is the same. */
export interface StoredCommand {
  readonly udid: Udid;
  /** Null where it was not kept. */
  readonly body: CommandBody | null;
}

/** A record without what the command says, which stands beside it as it is kept. */
export type CommandRow = Omit<CommandRecord, 'command'> & Pick<StoredCommand, 'body'>;

/** Pending commands and history. Durable on return; nothing here decides what a device is given. */
export interface CommandStore {
  /** False when a command of this UUID exists, pending or in history, or `pendingMax` wait already. Atomic. */
  insert(command: QueuedCommand, pendingMax: number): Promise<boolean>;
  /** Null when there is none. */
  stored(commandUuid: CommandUuid): Promise<StoredCommand | null>;
  /** The first few, unexpired, of this enrollment, without `passedOver`. Bounded: one of them at least, if there is one. */
  next(
    udid: Udid,
    enrollmentId: string,
    nowMs: EpochMs,
    passedOver: readonly CommandUuid[],
  ): Promise<Candidates>;
  /** The device's object knows that work waits. */
  noted(commandUuid: CommandUuid, nowMs: EpochMs): Promise<void>;
  /** Old enough commands that no object was told of, oldest first. */
  unnoted(createdBeforeMs: EpochMs, limit: number): Promise<readonly UnnotedCommand[]>;
  /** Moves expired commands that no device holds to history; returns how many. */
  expire(nowMs: EpochMs): Promise<number>;
  /** Deletes history that is too old or too much, a bounded part at a time; returns how many. */
  prune(nowMs: EpochMs): Promise<number>;
  find(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRow | null>;
  list(
    udid: Udid,
    filter: CommandFilter,
    page: PageQuery,
    nowMs: EpochMs,
  ): Promise<Outcome<CommandPage, MalformedCursor>>;
}

/**
 * Seals what commands say. What was sealed opens for its own device and CommandUUID only. With another key than the
 * deployment's all of it is `Unavailable`.
 */
export interface CommandSecrets {
  seal(udid: Udid, commandUuid: CommandUuid, plain: Bytes): Promise<Bytes>;
  /** Null when it does not open: another command's, or damaged. */
  open(udid: Udid, commandUuid: CommandUuid, sealed: Bytes): Promise<Bytes | null>;
  /** The token of a TokenUpdate, sealed when that came; null likewise. */
  openUnlockToken(udid: Udid, sealed: Bytes): Promise<Bytes | null>;
}

/** Wakes a device by push. Best effort: a device that is not woken is found by the sweeper. */
export interface Waker {
  wake(udid: Udid): Promise<void>;
}

export type { CommandState };
