/**
 * What a command's end means for the profile that it installed or removed: statements for the batch that records the
 * end. Each goes by the command's UUID, so that only the last order of a profile on a device is concerned, and says the
 * same when it is said again.
 */
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import { deviceErrorOf } from '../../domain/profile/device-error.ts';
import type { DeviceProfileError } from '../../domain/profile/device-profile-ports.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Statement } from './database.ts';

/** Before what the message does to the queue. */
export function profileEnds(message: DeviceMessage): readonly Statement[] {
  switch (message.kind) {
    case 'result': {
      const { requestType, commandUuid, state, answeredAtMs: atMs } = message;
      if (requestType === 'ProfileList' && state === 'acknowledged')
        return [profilesGone(message.udid, atMs)];
      if (requestType !== null && !PROFILE_COMMANDS.has(requestType)) return [];
      if (state === 'acknowledged') return [profileAcknowledged(commandUuid, atMs)];
      return [profileRefused(commandUuid, deviceErrorOf(message.status, message.raw), atMs)];
    }
    case 'cancel':
      return [profileDropped(message.commandUuid, message.state, message.atMs)];
    case 'reset':
      return [profilesEnded(message.udid, message.enrollmentId, message.atMs)];
    default:
      return [];
  }
}

const PROFILE_COMMANDS: ReadonlySet<string> = new Set(['InstallProfile', 'RemoveProfile']);

/** The command's row, which knows for which enrollment it went out, is still in the queue. */
function profileAcknowledged(commandUuid: string, atMs: EpochMs): Statement {
  return {
    sql: `UPDATE device_profiles SET state = iif(action = 'install', 'installed', 'removed'), error = NULL,
            changed_at_ms = ?2,
            installed_version = iif(action = 'install', version, NULL),
            installed_at_ms = iif(action = 'install', ?2, NULL),
            enrollment_id = ifnull((SELECT c.enrollment_id FROM commands c WHERE c.command_uuid = ?1), enrollment_id)
          WHERE command_uuid = ?1`,
    bound: [commandUuid, atMs],
  };
}

function profileRefused(commandUuid: string, error: DeviceProfileError, atMs: EpochMs): Statement {
  return {
    sql: `UPDATE device_profiles SET state = 'failed', error = ?2, changed_at_ms = ?3 WHERE command_uuid = ?1`,
    bound: [commandUuid, JSON.stringify(error), atMs],
  };
}

/**
 * A removal that failed and is there no more, by the list that the device has just given of all that it has. Behind the
 * statement that records the list. Whatever else is missing stays recorded: somebody wants it there.
 */
function profilesGone(udid: string, atMs: EpochMs): Statement {
  return {
    sql: `UPDATE device_profiles SET state = 'removed', error = NULL, changed_at_ms = ?2,
            installed_version = NULL, installed_at_ms = NULL
          WHERE udid = ?1 AND action = 'remove' AND state = 'failed' AND changed_at_ms < ?2
            AND EXISTS (SELECT 1 FROM inventory i
              WHERE i.udid = ?1 AND i.section = 'profiles' AND i.complete_at_ms = ?2
                AND NOT EXISTS (SELECT 1 FROM json_each(i.value) j WHERE j.key = payload_identifier))`,
    bound: [udid, atMs],
  };
}

/** Canceled or expired. What the device did all the same outranks it. */
function profileDropped(commandUuid: string, kind: 'canceled' | 'expired', atMs: EpochMs): Statement {
  return {
    sql: `UPDATE device_profiles SET state = 'failed', error = ?2, changed_at_ms = ?3
          WHERE command_uuid = ?1 AND state IN ('ordered', 'removing')`,
    bound: [commandUuid, JSON.stringify({ kind }), atMs],
  };
}

/** Those whose commands the sweeper moves; before it does. */
export function profilesExpired(nowMs: EpochMs): Statement {
  return {
    sql: `UPDATE device_profiles SET state = 'failed', error = '{"kind":"expired"}', changed_at_ms = ?1
          WHERE state IN ('ordered', 'removing') AND command_uuid IN (
            SELECT c.command_uuid FROM commands c WHERE c.expires_at_ms <= ?1 AND c.state <> 'delivered')`,
    bound: [nowMs],
  };
}

/** Orders whose command was never queued: whoever gave one was told so, and did not say it again. */
export function profilesUnqueued(orderedBeforeMs: EpochMs, nowMs: EpochMs): Statement {
  return {
    sql: `UPDATE device_profiles SET state = 'failed', error = '{"kind":"not-queued"}', changed_at_ms = ?2
          WHERE state IN ('ordered', 'removing') AND changed_at_ms < ?1
            AND NOT EXISTS (SELECT 1 FROM commands c WHERE c.command_uuid = device_profiles.command_uuid)
            AND NOT EXISTS (SELECT 1 FROM command_history h WHERE h.command_uuid = device_profiles.command_uuid)`,
    bound: [orderedBeforeMs, nowMs],
  };
}

/** An enrollment takes its profiles with it. */
function profilesEnded(udid: string, enrollmentId: string, atMs: EpochMs): Statement {
  return {
    sql: `UPDATE device_profiles SET state = 'removed', error = '{"kind":"enrollment-ended"}', changed_at_ms = ?3,
            installed_version = NULL, installed_at_ms = NULL
          WHERE udid = ?1 AND enrollment_id = ?2 AND (state <> 'removed' OR installed_version IS NOT NULL)`,
    bound: [udid, enrollmentId, atMs],
  };
}
