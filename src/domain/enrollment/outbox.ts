/**
 * What a device's object tells others: D1 (results, delivery states, its own projection), the watch's pairing
 * object, and whoever wakes devices. Rows are written with the fact they report; telling is idempotent, because
 * an alarm may run twice.
 */

import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Attempts } from '../command/queue.ts';
import type { FleetStatus } from '../declaration/fleet-status.ts';
import type { DeviceEvent } from '../event/event.ts';
import type { Platform, SerialNumber, Udid } from '../ids.ts';
import type { EnrollmentEnd, PresumedEnd } from './ending.ts';
import type { Enrollment, EnrollmentState } from './state.ts';

export interface DeviceProjection {
  readonly udid: Udid;
  readonly serial: SerialNumber;
  readonly platform: Platform;
  readonly state: EnrollmentState;
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly buildVersion: string | null;
  readonly phoneUdid: string | null;
  readonly pairingId: string | null;
  readonly enrolledAtMs: EpochMs | null;
  readonly lastSeenMs: EpochMs;
  readonly revision: number;
  /** Absent in what was written before enrollments had a history. */
  readonly history?: EnrollmentHistory;
}

/** What is kept of each enrollment that a device had. */
export interface EnrollmentHistory {
  readonly enrollmentId: string;
  readonly startedAtMs: EpochMs;
  readonly ended: EnrollmentEnd | null;
  readonly endedAtMs: EpochMs | null;
  readonly presumedEnd: PresumedEnd | null;
}

export function projectionOf(
  udid: Udid,
  enrollment: Enrollment,
  seen: { readonly revision: number; readonly lastSeenMs: EpochMs; readonly replacedAtMs?: EpochMs },
): DeviceProjection {
  const { serial, platform, state, productName, osVersion, buildVersion } = enrollment;
  const { phoneUdid, pairingId, enrolledAtMs } = enrollment;
  const { revision, lastSeenMs, replacedAtMs } = seen;
  const named = { udid, serial, platform, state, productName, osVersion, buildVersion };
  const history = historyOf(enrollment, replacedAtMs);
  return { ...named, phoneUdid, pairingId, enrolledAtMs, lastSeenMs, revision, history };
}

/** Of one that checked out and is replaced later, the first counts. */
function historyOf(enrollment: Enrollment, replacedAtMs: EpochMs | undefined): EnrollmentHistory {
  const { enrollmentId, startedAtMs, presumedEnd, endedAtMs } = enrollment;
  const of = { enrollmentId, startedAtMs, presumedEnd };
  if (enrollment.state === 'checked-out') return { ...of, ended: 'checked-out', endedAtMs };
  if (replacedAtMs === undefined) return { ...of, ended: null, endedAtMs: null };
  return { ...of, ended: 'replaced', endedAtMs: replacedAtMs };
}

/** How often a command went out, as of now: absolute, so that it may be told twice. Null where it was not counted. */
export type Sent = (Attempts & { readonly deliveredAtMs: EpochMs }) | null;

export type DeviceMessage =
  /** A command was answered: out of the queue, into history. */
  | {
      readonly kind: 'result';
      readonly udid: Udid;
      readonly commandUuid: string;
      /** Null for a late answer to a command that the object no longer knows: D1's row has it. */
      readonly requestType: string | null;
      readonly state: 'acknowledged' | 'error';
      readonly status: string;
      readonly answeredAtMs: EpochMs;
      readonly sent: Sent;
      /** Null when it could not be read. */
      readonly raw: Bytes | null;
    }
  /** A command went out, or was put off. Says nothing that `result` does not outrank. */
  | {
      readonly kind: 'progress';
      readonly commandUuid: string;
      readonly state: 'delivered' | 'not-now';
      readonly sent: Sent;
    }
  /** A command will not go out any more. */
  | {
      readonly kind: 'cancel';
      readonly commandUuid: string;
      readonly state: 'canceled' | 'expired';
      readonly atMs: EpochMs;
    }
  /** This enrollment ended, or had ended when a command was queued for it: what waits for it is canceled. */
  | {
      readonly kind: 'reset';
      readonly udid: Udid;
      readonly enrollmentId: string;
      readonly atMs: EpochMs;
    }
  | { readonly kind: 'projection'; readonly device: DeviceProjection }
  /** All that the fleet may be asked about of this device, as of this revision. */
  | {
      readonly kind: 'status';
      readonly udid: Udid;
      readonly revision: number;
      readonly items: FleetStatus;
    }
  /** What happened, for the feed. `revision` is said once: what is told again with it is known. */
  | {
      readonly kind: 'events';
      readonly udid: Udid;
      readonly revision: number;
      readonly atMs: EpochMs;
      readonly events: readonly DeviceEvent[];
    }
  | {
      readonly kind: 'pairing';
      readonly watchUdid: Udid;
      readonly pairingId: string;
      readonly step: 'authenticated' | 'enrolled';
      readonly atMs: EpochMs;
    }
  /** A command that the object made by itself went out, maybe not for the first time: D1 gets its record. */
  | {
      readonly kind: 'declared';
      readonly udid: Udid;
      readonly enrollmentId: string;
      readonly commandUuid: string;
      readonly requestType: string;
      readonly body: string;
      readonly atMs: EpochMs;
    }
  /** What decides over the manifest is new: the device enrolled, or reports another system, model or capabilities. */
  | { readonly kind: 'compile'; readonly udid: Udid; readonly atMs: EpochMs }
  /**
   * The device is to connect: its manifest changed, or the session ended with commands put off and it will not come
   * back by itself.
   */
  | { readonly kind: 'wake'; readonly udid: Udid };

/** Tells all of them, or throws; told again after a failure, in the same order. Must be idempotent. */
export interface DeviceOutboxPort {
  tell(messages: readonly DeviceMessage[]): Promise<void>;
}
