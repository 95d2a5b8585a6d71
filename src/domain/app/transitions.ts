/**
 * What happens next in a deployment: state and event in, state and at most one command out. Pure; `nowMs` is the
 * event's time. Null: the event says nothing to this state, and nothing changes.
 *
 * On each side in turn: order, wait until it was taken, wait until the device itself reports what came of it, by status
 * or when asked, then the other side. An attempt that fails is made again after a while, at most ATTEMPTS_MAX times.
 * While one command is out no other is made.
 */
import { addMs, type EpochMs } from '../../std/time.ts';
import {
  ANSWER_GRACE_MS,
  ATTEMPTS_MAX,
  askAgainAfterMs,
  CONFIRM_PATIENCE_MS,
  type DeploymentEvent,
  type Machine,
  newMachine,
  ORDER_PATIENCE_MS,
  orderOf,
  REPORT_PATIENCE_MS,
  retryAfterMs,
  sidesInOrder,
  stepOf,
  type Transition,
} from './machine.ts';
import {
  ALREADY_INSTALLED,
  judgeInstallAnswer,
  judgeStatus,
  REMOVAL_FAILED,
  rejectionReason,
  type Verdict,
} from './verdicts.ts';

type Facts = { readonly reason?: string; readonly detail?: string };

export function transition(machine: Machine, event: DeploymentEvent, nowMs: EpochMs): Transition | null {
  if (event.kind === 'retry') return retry(machine, nowMs);
  if (machine.state !== 'running') return null;
  if (event.kind === 'cancel') return end(machine, 'canceled', 'canceled', {});
  if (event.kind === 'gone') return fail(machine, { reason: `${event.side}-not-enrolled` });
  switch (machine.phase) {
    case 'waiting':
      if (event.kind === 'still-needed') return leave(machine);
      return event.kind === 'begin' ? order(machine, nowMs) : null;
    case 'ordered':
      return answered(machine, event, nowMs);
    case 'confirming':
      return confirming(machine, event, nowMs);
    case 'asked':
      return told(machine, event, nowMs);
    case 'backing-off':
      if (event.kind === 'still-needed') return leave(machine);
      return event.kind === 'time' && isDue(machine, nowMs) ? order(machine, nowMs) : null;
    default:
      return null;
  }
}

/** No command is out: another watch came to need the iPhone's app before the first attempt, or between two. */
function leave(machine: Machine): Transition | null {
  if (machine.action !== 'remove' || machine.at !== 'phone') return null;
  return end(machine, 'done', 'skipped', { reason: 'needed-by-another-watch' });
}

function order(machine: Machine, nowMs: EpochMs): Transition {
  const deadlineMs = addMs(nowMs, ORDER_PATIENCE_MS + ANSWER_GRACE_MS);
  const next: Machine = {
    ...machine,
    ...{ phase: 'ordered', orders: machine.orders + 1, asks: 0, takenAtMs: null, seen: null },
    ...{ deadlineMs, dueAtMs: deadlineMs },
  };
  const again = machine.attempt > 1 ? { detail: `attempt ${machine.attempt}` } : {};
  return { machine: next, order: orderOf(next), entry: { step: stepOf(next), outcome: 'queued', ...again } };
}

/** The command is out. */
function answered(machine: Machine, event: DeploymentEvent, nowMs: EpochMs): Transition | null {
  switch (event.kind) {
    case 'taken':
      return taken(machine, { outcome: 'taken', ...event, detail: event.state }, nowMs);
    case 'error': {
      // What is to be removed may not be there, and what is to be installed may be: the device's own list decides.
      if (machine.action === 'remove' || event.rejection !== null)
        return taken(machine, { outcome: 'error', state: null, ...event }, nowMs);
      const facts = event.detail === null ? {} : { detail: event.detail };
      return setBack(machine, { reason: 'command-error', permanent: false }, nowMs, facts);
    }
    case 'refused':
      return setBack(machine, event, nowMs, event.detail === null ? {} : { detail: event.detail });
    case 'unanswered':
      return fail(machine, { reason: `command-${event.how}` });
    case 'time':
      return isOver(machine, nowMs) ? fail(machine, { reason: 'command-timed-out' }) : null;
    default:
      return null;
  }
}

interface Taken {
  readonly outcome: 'taken' | 'error';
  readonly state: string | null;
  readonly rejection: string | null;
  readonly reports: boolean;
  readonly detail: string | null;
}

function taken(machine: Machine, answer: Taken, nowMs: EpochMs): Transition {
  const { outcome, state, rejection, reports, detail } = answer;
  const facts = detail === null ? {} : { detail };
  const verdict = machine.action === 'remove' ? null : judgeInstallAnswer(state, rejection);
  if (verdict?.kind === 'missed') return setBack(machine, verdict, nowMs, facts);
  // A device reports what changes: of what is as it was already, it is asked.
  const unchanged =
    state === 'Managed' ||
    rejection === ALREADY_INSTALLED ||
    (machine.action === 'remove' && outcome === 'error');
  const waits = reports && !unchanged;
  const next: Machine = {
    ...machine,
    phase: 'confirming',
    takenAtMs: nowMs,
    deadlineMs: addMs(nowMs, CONFIRM_PATIENCE_MS),
    dueAtMs: waits ? addMs(nowMs, REPORT_PATIENCE_MS) : nowMs,
    seen: rejection ?? (machine.action === 'remove' && outcome === 'error' ? REMOVAL_FAILED : null),
  };
  const why = rejection === null ? {} : { reason: rejectionReason(rejection) };
  return { machine: next, order: null, entry: { step: stepOf(machine), outcome, ...why, ...facts } };
}

/** No command is out. */
function confirming(machine: Machine, event: DeploymentEvent, nowMs: EpochMs): Transition | null {
  if (event.kind === 'reported') {
    // What it said before it took the command is not what came of that.
    if (machine.takenAtMs === null || event.sinceMs < machine.takenAtMs) return null;
    const verdict = judgeStatus(machine.action, event.status, machine.seen);
    return verdict.kind === 'pending' ? see(machine, event.status) : conclude(machine, verdict, nowMs);
  }
  if (event.kind !== 'time') return null;
  if (isOver(machine, nowMs)) return setBack(machine, { reason: 'not-confirmed', permanent: false }, nowMs);
  return isDue(machine, nowMs) ? ask(machine) : null;
}

function ask(machine: Machine): Transition {
  const { asks, orders, deadlineMs } = machine;
  const dueAtMs = deadlineMs === null ? null : addMs(deadlineMs, ANSWER_GRACE_MS);
  const next: Machine = { ...machine, phase: 'asked', asks: asks + 1, orders: orders + 1, dueAtMs };
  const entry = asks === 0 ? { step: stepOf(next), outcome: 'asked' } : null;
  return { machine: next, order: orderOf(next), entry };
}

/** ManagedApplicationList is out. What a status report says meanwhile, its answer says too. */
function told(machine: Machine, event: DeploymentEvent, nowMs: EpochMs): Transition | null {
  switch (event.kind) {
    case 'listed': {
      const verdict = judgeStatus(machine.action, event.status, machine.seen);
      return verdict.kind === 'pending'
        ? askAgain(machine, nowMs, event.status)
        : conclude(machine, verdict, nowMs);
    }
    case 'refused':
      return event.permanent
        ? fail(machine, { reason: event.reason })
        : askAgain(machine, nowMs, machine.seen);
    case 'error':
    case 'unanswered':
      return askAgain(machine, nowMs, machine.seen);
    case 'time':
      return isDue(machine, nowMs)
        ? setBack(machine, { reason: 'not-confirmed', permanent: false }, nowMs)
        : null;
    default:
      return null;
  }
}

function askAgain(machine: Machine, nowMs: EpochMs, status: string | null): Transition {
  const again = addMs(nowMs, askAgainAfterMs(machine.asks));
  const dueAtMs = Math.min(again, machine.deadlineMs ?? again) as EpochMs;
  const next: Machine = { ...machine, phase: 'confirming', dueAtMs };
  return see(next, status) ?? { machine: next, order: null, entry: null };
}

/** The timeline has what the device said once, however often it says it. */
function see(machine: Machine, status: string | null): Transition | null {
  const seen = status ?? 'absent';
  if (seen === machine.seen) return null;
  const entry = { step: stepOf(machine), outcome: 'pending', detail: seen };
  return { machine: { ...machine, seen }, order: null, entry };
}

function conclude(
  machine: Machine,
  verdict: Exclude<Verdict, { kind: 'pending' }>,
  nowMs: EpochMs,
): Transition {
  if (verdict.kind === 'missed') return setBack(machine, verdict, nowMs);
  const sides = sidesInOrder(machine);
  const at = sides[sides.indexOf(machine.at) + 1];
  if (at === undefined) return end(machine, 'done', 'done', {});
  const { action, kind, orders, beganAtMs } = machine;
  const next: Machine = { ...newMachine(action, kind, nowMs), at, orders, beganAtMs };
  return { machine: next, order: null, entry: { step: stepOf(machine), outcome: 'done' } };
}

function setBack(
  machine: Machine,
  { reason, permanent }: { readonly reason: string; readonly permanent: boolean },
  nowMs: EpochMs,
  facts: Facts = {},
): Transition {
  const { attempt } = machine;
  if (permanent || attempt >= ATTEMPTS_MAX) return fail(machine, { ...facts, reason });
  const dueAtMs = addMs(nowMs, retryAfterMs(attempt, reason));
  const next: Machine = {
    ...machine,
    ...{ phase: 'backing-off', attempt: attempt + 1, deadlineMs: null, dueAtMs, reason },
  };
  return {
    machine: next,
    order: null,
    entry: { step: stepOf(machine), outcome: 'will-retry', reason, ...facts },
  };
}

function fail(machine: Machine, facts: Facts & { readonly reason: string }): Transition {
  return end({ ...machine, reason: facts.reason }, 'failed', 'failed', facts);
}

function end(
  machine: Machine,
  state: 'done' | 'failed' | 'canceled',
  outcome: string,
  facts: Facts,
): Transition {
  const over = { state, phase: 'over', deadlineMs: null, dueAtMs: null } as const;
  const reason = state === 'failed' ? machine.reason : null;
  const entry = { step: stepOf(machine), outcome, ...facts };
  return { machine: { ...machine, ...over, reason }, order: null, entry };
}

/** By an administrator: on the side where it ended. */
function retry(machine: Machine, nowMs: EpochMs): Transition | null {
  if (machine.state !== 'failed' && machine.state !== 'canceled') return null;
  const { action, kind, at, orders } = machine;
  const next: Machine = { ...newMachine(action, kind, nowMs), at, orders };
  return { machine: next, order: null, entry: { step: stepOf(next), outcome: 'retried' } };
}

function isDue({ dueAtMs }: Machine, nowMs: EpochMs): boolean {
  return dueAtMs !== null && nowMs >= dueAtMs;
}

function isOver({ deadlineMs }: Machine, nowMs: EpochMs): boolean {
  return deadlineMs !== null && nowMs >= deadlineMs;
}
