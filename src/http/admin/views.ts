/**
 * Records as the API shows them: times in RFC 3339 to the millisecond, absent facts as `null`. A command's
 * result is the device's own plist, every key of it, in the JSON form of `protocol/plist/json.ts`.
 */

import type { CommandRecord, CommandSummary } from '../../domain/admin/command-services.ts';
import type {
  DeclarationRecord,
  DeclarationSummary,
  DeviceDeclaration,
  DeviceManifest,
  GroupRecord,
  SetDevice,
  SetRecord,
} from '../../domain/admin/declaration-services.ts';
import type { Ordered } from '../../domain/admin/order-command.ts';
import type {
  DeviceRecord,
  ExpectedDevice,
  PairingRecord,
  TimelineEntry,
  WatchEnrollmentGroup,
  WatchEnrollmentStatus,
} from '../../domain/admin/services.ts';
import type { CommandAvailability } from '../../domain/command/admission.ts';
import type { PresumedGone } from '../../domain/enrollment/ending.ts';
import { type JsonValue, plistToJson } from '../../protocol/plist/json.ts';
import { parsePlist } from '../../protocol/plist/parse.ts';
import { RESULT_LIMITS } from '../../protocol/plist/value.ts';
import { type Bytes, toBase64 } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';

export function timestamp(at: EpochMs): string {
  return new Date(at).toISOString();
}

export function timestampOrNull(at: EpochMs | null): string | null {
  return at === null ? null : timestamp(at);
}

/** A watch tells its iPhone, an iPhone its watches. */
export function deviceView(device: DeviceRecord) {
  const { phoneState, presumedGone } = device;
  return {
    udid: device.udid,
    serial: device.serial,
    platform: device.platform,
    state: device.state,
    name: device.name,
    model: device.model,
    productName: device.productName,
    osVersion: device.osVersion,
    buildVersion: device.buildVersion,
    enrolledAt: timestampOrNull(device.enrolledAtMs),
    lastSeenAt: timestamp(device.lastSeenAtMs),
    ...(device.platform === 'watchOS'
      ? {
          phone: device.phone,
          phoneState: phoneState && { state: phoneState.state, since: timestampOrNull(phoneState.sinceMs) },
          pairingId: device.pairingId,
        }
      : { watches: device.watches }),
    presumedGone: presumedGone && presumedGoneView(presumedGone),
    otherUdids: device.otherUdids,
  };
}

/** What is known, and what Apple says follows from it; the device itself said nothing. */
function presumedGoneView({ why, device, commandUuid, atMs }: PresumedGone) {
  const note = why.startsWith('phone-')
    ? WITH_ITS_PHONE
    : 'It acknowledged a command that ends its enrollment.';
  return { since: timestamp(atMs), why, device, commandUuid, note };
}

const WITH_ITS_PHONE =
  'When an iPhone is no longer enrolled, its managed watch is unenrolled, unpaired and erased.';
const PAIRED_BEFORE =
  'A watch that was paired before this was active is not managed, and not seen here: erase it and pair it again.';

export function commandSummaryView(command: CommandSummary) {
  return {
    commandUuid: command.commandUuid,
    requestType: command.requestType,
    state: command.state,
    status: command.status,
    createdAt: timestamp(command.createdAtMs),
    expiresAt: timestampOrNull(command.expiresAtMs),
    answeredAt: timestampOrNull(command.answeredAtMs),
  };
}

export function orderedView({ command, causes, warnings }: Ordered) {
  return {
    commandUuid: command.commandUuid,
    state: command.state,
    ...(causes.length === 0 ? {} : { causes }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

export function availabilityView({ requestType, problem }: CommandAvailability) {
  if (problem === null) return { requestType, available: true };
  const { rule, expected, lack } = problem;
  return { requestType, available: false, rule, expected, ...lack };
}

/**
 * `error` is the answer's `ErrorChain`, first the top error; `null` when there is none. `reason` says in words why a
 * command failed, or was canceled by other than an administrator.
 */
export function commandView(command: CommandRecord) {
  const result = command.result === null ? null : resultView(command.result);
  const error = (isObject(result) ? result['ErrorChain'] : undefined) ?? null;
  return {
    ...commandSummaryView(command),
    priority: command.priority,
    deliveredAt: timestampOrNull(command.deliveredAtMs),
    deliveries: command.deliveries,
    notNows: command.notNows,
    requeuedFrom: command.requeuedFrom,
    requeuedAs: command.requeuedAs,
    profile: command.profile,
    command: command.command,
    result,
    error,
    reason: reasonOf(command, error),
  };
}

/** Of what a `Status` alone says, the device's or the server's own in its place. */
const FAILURES: Readonly<Record<string, string>> = {
  CommandFormatError: 'the device could not read the command',
  Unreadable: 'the answer of the device could not be read, three times',
  NotOpened: 'what the command says, or its token, does not open with the storage key: it was not sent',
  EnrollmentEnded: 'the enrollment it was ordered for ended before the device answered',
  NoUnlockToken: 'the device has no unlock token here any more: it was not sent',
};

function reasonOf({ state, status }: CommandRecord, error: JsonValue): string | null {
  if (state === 'error') return failureReason(status, error);
  return state === 'canceled' ? (FAILURES[status ?? ''] ?? null) : null;
}

/** The device's own words first: an `ErrorChain` is meant for people. */
function failureReason(status: string | null, chain: JsonValue): string {
  const top = Array.isArray(chain) ? chain[0] : undefined;
  const words = isObject(top ?? null) ? (top as { [key: string]: JsonValue }) : {};
  const said = [words['USEnglishDescription'], words['LocalizedDescription']].find(
    (text) => typeof text === 'string' && text !== '',
  );
  return typeof said === 'string' ? said : (FAILURES[status ?? ''] ?? 'the device gave no reason');
}

/** Bytes that are no readable plist are still the device's answer: they are shown as data. */
function resultView(result: Bytes): JsonValue {
  const plist = parsePlist(result, RESULT_LIMITS);
  return plist.ok ? plistToJson(plist.value) : { $data: toBase64(result) };
}

function isObject(value: JsonValue): value is { [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function watchEnrollmentView(status: WatchEnrollmentStatus) {
  return {
    device: status.phone,
    assigned: status.assigned,
    group: status.group,
    stage: status.stage,
    assignedAt: timestampOrNull(status.assignedAtMs),
    anchors: status.anchors,
    delivered: status.delivered,
    active: status.active,
    valid: status.valid,
    reasons: status.reasons,
    pairings: status.pairings,
    ...(status.blockedBy === null ? {} : { blockedBy: status.blockedBy }),
    ...(status.stage === 'active' ? { note: PAIRED_BEFORE } : {}),
  };
}

export function pairingView(pairing: PairingRecord) {
  return {
    pairingId: pairing.pairingId,
    watch: pairing.watch,
    serial: pairing.serial,
    phone: pairing.phone,
    state: pairing.state,
    reason: pairing.reason,
    startedAt: timestamp(pairing.startedAtMs),
    updatedAt: timestamp(pairing.updatedAtMs),
    timeline: pairing.timeline.map(timelineView),
  };
}

function timelineView({ atMs, step, outcome, reason, detail, repeats }: TimelineEntry) {
  return {
    at: timestamp(atMs),
    step,
    outcome,
    ...(reason === null ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    ...(repeats === undefined ? {} : { repeats }),
  };
}

export function expectedDeviceView(device: ExpectedDevice) {
  const { serial, platform, addedAtMs, udid } = device;
  return { serial, platform, addedAt: timestamp(addedAtMs), udid };
}

export function declarationSummaryView(declaration: DeclarationSummary) {
  const { identifier, kind, type, serverToken, updatedAtMs } = declaration;
  return { identifier, kind, type, serverToken, updatedAt: timestamp(updatedAtMs) };
}

export function declarationView(declaration: DeclarationRecord) {
  return { ...declarationSummaryView(declaration), payload: declaration.payload };
}

export function setDeviceView({ udid, assignedAtMs }: SetDevice) {
  return { udid, assignedAt: timestamp(assignedAtMs) };
}

export function setView({ name, declarations, devices, groups, updatedAtMs }: SetRecord) {
  return { name, declarations, devices, groups, updatedAt: timestamp(updatedAtMs) };
}

export function groupView({ name, devices, updatedAtMs }: GroupRecord) {
  return { name, devices, updatedAt: timestamp(updatedAtMs) };
}

export function watchEnrollmentGroupView({ group, anchors, assignedAtMs }: WatchEnrollmentGroup) {
  return { group, assignedAt: timestamp(assignedAtMs), anchors };
}

export function deviceManifestView({ items, declarationsToken, changedAtMs, pending }: DeviceManifest) {
  const changedAt = timestampOrNull(changedAtMs);
  return { items: items.map(deviceDeclarationView), declarationsToken, changedAt, pending };
}

function deviceDeclarationView(declaration: DeviceDeclaration) {
  const { identifier, kind, serverToken, origin, fetched, active, valid, reasons } = declaration;
  const withheld = declaration.withheld === null ? {} : { withheld: declaration.withheld };
  return { identifier, kind, serverToken, origin, fetched, active, valid, reasons, ...withheld };
}
