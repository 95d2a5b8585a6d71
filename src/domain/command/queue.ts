/**
 * One device's side of the command queue: what is outstanding, what was put off, what was answered. D1 holds the
 * commands; this decides which of them may be delivered next. Handbook section 3: one command at a time, the
 * same result may come twice, NotNow keeps nothing on the device.
 *
 * Invariant: a command is delivered only while unanswered, and no second one before the first is answered or
 * put off.
 */
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { OwnSign } from '../enrollment/ending.ts';
import type { CommandUuid } from '../ids.ts';

/** What a command says, as it is kept: sealed bytes are opened by whoever hands them to the device. */
export interface CommandBody {
  readonly sealed: boolean;
  readonly bytes: Bytes;
}

/** How often a command went out and was put off, as far as is known. */
export interface Attempts {
  readonly deliveries: number;
  readonly notNows: number;
}

export interface Outstanding extends Attempts {
  /** What its acknowledgement is a sign of. */
  readonly farewell?: OwnSign | null;
  readonly commandUuid: CommandUuid;
  readonly requestType: string;
  /** The same bytes again, for the device that lost them. */
  readonly body: CommandBody;
  /** The last time. */
  readonly deliveredAtMs: EpochMs;
  /** After it the command is not said again; an answer that still comes counts. */
  readonly expiresAtMs: EpochMs | null;
}

export type ReportStatus = 'Idle' | 'Acknowledged' | 'Error' | 'CommandFormatError' | 'NotNow';

export interface QueueView {
  readonly outstanding: Outstanding | null;
  /** Put off with NotNow in this session. */
  readonly deferred: readonly CommandUuid[];
  /** Whether D1 may hold a command for this device. */
  readonly workWaits: boolean;
  /** Whether the object itself has a command for it: where its manifest stands, and not put off in this session. */
  readonly declareWaits: boolean;
}

export type ReportEffect =
  | { readonly kind: 'answered'; readonly commandUuid: CommandUuid; readonly state: 'acknowledged' | 'error' }
  | { readonly kind: 'not-now'; readonly commandUuid: CommandUuid }
  /** A result that was already counted, or one for a command of an earlier enrollment. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'session-started' };

export type NextStep = 'resend' | 'fetch' | 'declare' | 'empty';

/** A device that puts this many commands off in one session is told to rest; it polls again by itself. */
export const DEFERRED_MAX = 32;

/** What a report means. */
export function decideReport(
  view: Pick<QueueView, 'outstanding'>,
  status: ReportStatus,
  commandUuid: CommandUuid | null,
): ReportEffect {
  if (status === 'Idle') return { kind: 'session-started' };
  const { outstanding } = view;
  if (outstanding === null) return { kind: 'ignored' };
  // The handbook has `CommandUUID?`: a report without one can only be about the one command that is out.
  if (commandUuid !== null && commandUuid !== outstanding.commandUuid) return { kind: 'ignored' };
  if (status === 'NotNow') return { kind: 'not-now', commandUuid: outstanding.commandUuid };
  const state = status === 'Acknowledged' ? 'acknowledged' : 'error';
  return { kind: 'answered', commandUuid: outstanding.commandUuid, state };
}

/**
 * What the device is to be given after the report took its effect. With work in D1 the object's own command goes
 * between the urgent ones and the others, so D1 is asked first; without, nobody is asked.
 */
export function decideNext(view: QueueView, effect: ReportEffect['kind']): NextStep {
  if (view.outstanding !== null) return 'resend';
  const rests = effect !== 'session-started' && view.deferred.length >= DEFERRED_MAX;
  if (rests) return 'empty';
  if (view.workWaits) return 'fetch';
  return view.declareWaits ? 'declare' : 'empty';
}

/** A command row as D1 offers it. */
export interface Candidate extends Attempts {
  readonly farewell?: OwnSign | null;
  readonly commandUuid: CommandUuid;
  readonly requestType: string;
  readonly urgent: boolean;
  readonly expiresAtMs: EpochMs | null;
  readonly body: CommandBody;
}

/** In order of delivery. */
export interface Candidates {
  readonly candidates: readonly Candidate[];
  /** True when D1 has no more than these. */
  readonly complete: boolean;
}

/**
 * The first candidate that may go out, or null. `settled` are commands that this device answered or that were
 * canceled, whose rows D1 may still show because the outbox has not drained.
 */
export function chooseCandidate(
  candidates: readonly Candidate[],
  deferred: readonly CommandUuid[],
  settled: (commandUuid: CommandUuid) => boolean,
  nowMs: EpochMs,
): Candidate | null {
  for (const candidate of candidates) {
    const expired = candidate.expiresAtMs !== null && candidate.expiresAtMs <= nowMs;
    if (!expired && !deferred.includes(candidate.commandUuid) && !settled(candidate.commandUuid))
      return candidate;
  }
  return null;
}
