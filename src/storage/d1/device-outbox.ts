/**
 * Carries what devices' objects tell into D1: results out of the queue into history, delivery states, commands of the
 * objects' own, resets, projections and events, in one transaction and in order. Telling twice changes nothing.
 */
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import { compileChange } from '../../domain/enrollment/owners.ts';
import { readInventory } from '../../domain/inventory/read.ts';
import { readUtf8 } from '../../std/bytes.ts';
import { closeEnrollment, moveToHistory } from './command-history.ts';
import { recordDelivered, updateProgress } from './commands.ts';
import type { Database, Statement } from './database.ts';
import { DEPLOYMENT_COMMANDS, markCommand, markEnrollment, markReported } from './deployment-marks.ts';
import { profileEnds } from './device-profile-ends.ts';
import { upsertDevice } from './devices.ts';
import { markDue } from './due.ts';
import { recordEnrollment } from './enrollments.ts';
import { insertEvents } from './events.ts';
import { recordInventory } from './inventory.ts';
import { replaceStatus } from './status.ts';

/**
 * Stores every message that D1 owns the record of; leaves the others alone. Returns whether any is about a deployment of
 * an app, which is then due.
 */
export async function recordDeviceMessages(
  db: Database,
  messages: readonly DeviceMessage[],
): Promise<{ readonly deploymentsDue: boolean }> {
  const learned = await Promise.all(messages.map(inventory));
  const records = messages.flatMap((message, index) => [
    ...(learned[index] ?? []),
    ...profileEnds(message),
    ...statements(message),
  ]);
  const marks = messages.flatMap(marksOf);
  const changed = await db.batch([...records, ...marks]);
  return { deploymentsDue: changed.slice(records.length).some((rows) => rows > 0) };
}

/** Behind the records: who finds a deployment due finds why. */
function marksOf(message: DeviceMessage): readonly Statement[] {
  switch (message.kind) {
    case 'result':
      // What no deployment orders costs no statement.
      return message.requestType === null || DEPLOYMENT_COMMANDS.has(message.requestType)
        ? [markCommand(message.commandUuid)]
        : [];
    case 'cancel':
      return [markCommand(message.commandUuid)];
    case 'reset':
      return markEnrollment(message.udid);
    case 'events':
      return markReported(message);
    default:
      return [];
  }
}

/** What an answer tells of the device, for as long as the queue knows what was asked. */
async function inventory(message: DeviceMessage): Promise<readonly Statement[]> {
  if (message.kind !== 'result' || message.state !== 'acknowledged') return [];
  const { udid, commandUuid, requestType, raw, answeredAtMs: atMs } = message;
  const answer = requestType === null || raw === null ? null : await readInventory(requestType, raw);
  if (answer === null || requestType === null) return [];
  return [recordInventory(answer, { udid, commandUuid, requestType, atMs })];
}

function statements(message: DeviceMessage): readonly Statement[] {
  switch (message.kind) {
    case 'result': {
      const { commandUuid, state, status, answeredAtMs: atMs, sent } = message;
      const result = message.raw === null ? null : readUtf8(message.raw);
      return [
        ...moveToHistory(commandUuid, { state, status, result, atMs, sent }),
        // It expired while the device was working on it: what the device did outranks the clock.
        {
          sql: `UPDATE command_history SET state = ?2, status = ?3, result = ?4, answered_at_ms = ?5
                WHERE command_uuid = ?1 AND state IN ('expired', 'canceled')`,
          bound: [commandUuid, state, status, result, atMs],
        },
      ];
    }
    case 'progress':
      return [updateProgress(message)];
    case 'declared':
      return [recordDelivered(message)];
    case 'cancel': {
      const { commandUuid, state, atMs } = message;
      return moveToHistory(commandUuid, { state, status: null, result: null, atMs, sent: null });
    }
    case 'reset':
      return closeEnrollment(message.udid, message.enrollmentId, message.atMs);
    case 'projection':
      return [upsertDevice(message.device), ...recordEnrollment(message.device)];
    case 'compile':
      return [markDue(compileChange(message), 'SELECT ? AS udid', message.udid)];
    case 'status':
      return replaceStatus(message);
    case 'events':
      return [insertEvents(message)];
    default:
      return [];
  }
}
