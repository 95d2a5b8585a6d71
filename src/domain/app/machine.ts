/**
 * What a deployment's state consists of, what can happen to it, and its limits. `transitions.ts` decides; nothing here
 * or there reads a clock.
 */
import { addMs, DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from '../../std/time.ts';
import type { AppKind, Side } from './app.ts';

export const ACTIONS = ['install', 'update', 'remove'] as const;
export type Action = (typeof ACTIONS)[number];

export const DEPLOYMENT_STATES = ['running', 'done', 'failed', 'canceled', 'superseded'] as const;
export type DeploymentState = (typeof DEPLOYMENT_STATES)[number];

/**
 * `waiting` to begin on this side; `ordered`: the command is out; `confirming`: it was taken, and the device has yet to
 * report what came of it; `asked`: ManagedApplicationList is out; `backing-off` before another attempt; `over`.
 */
export type Phase = 'waiting' | 'ordered' | 'confirming' | 'asked' | 'backing-off' | 'over';

export interface Machine {
  readonly action: Action;
  readonly kind: AppKind;
  readonly state: DeploymentState;
  /** The side that is worked on, or was last. */
  readonly at: Side;
  readonly phase: Phase;
  /** By an administrator. A device that enrolled after that is not the one that it was begun for. */
  readonly beganAtMs: EpochMs;
  /** Of the command on this side: from 1. */
  readonly attempt: number;
  /** How often the device was asked in this attempt. */
  readonly asks: number;
  /** Commands made so far: the number of the last is what its UUID is made from. */
  readonly orders: number;
  /** When the device took the command. */
  readonly takenAtMs: EpochMs | null;
  /** What is under way is given up then. */
  readonly deadlineMs: EpochMs | null;
  /** When to go on without being told. */
  readonly dueAtMs: EpochMs | null;
  /** The last thing that the device reported of the app. */
  readonly seen: string | null;
  /** Of a deployment that failed; of one that goes on, what the last attempt failed for. */
  readonly reason: string | null;
}

export interface Order {
  readonly kind: 'install' | 'remove' | 'ask';
  readonly side: Side;
  /** Not delivered after this. */
  readonly expiresAtMs: EpochMs;
}

/** `null`: the app is not among those that the device manages. */
export type AppStatus = string | null;

export type DeploymentEvent =
  /** The side is free. */
  | { readonly kind: 'begin' }
  /** Another watch of this iPhone has the app. */
  | { readonly kind: 'still-needed' }
  /** The device took the command; `reports` says that it tells of its apps by itself. */
  | {
      readonly kind: 'taken';
      readonly state: string | null;
      readonly rejection: string | null;
      readonly reports: boolean;
    }
  /** The device answered with an error; to InstallApplication perhaps with a reason of the catalog. */
  | {
      readonly kind: 'error';
      readonly detail: string | null;
      readonly rejection: string | null;
      readonly reports: boolean;
    }
  /** The command will not be answered any more. */
  | { readonly kind: 'unanswered'; readonly how: 'expired' | 'canceled' | 'timed-out' }
  /** It could not be queued. */
  | {
      readonly kind: 'refused';
      readonly reason: string;
      readonly detail: string | null;
      readonly permanent: boolean;
    }
  | { readonly kind: 'listed'; readonly status: AppStatus }
  /** By a status report; since when the device reports it. */
  | { readonly kind: 'reported'; readonly status: AppStatus; readonly sinceMs: EpochMs }
  /** It is due. */
  | { readonly kind: 'time' }
  /** This side's enrollment is over. */
  | { readonly kind: 'gone'; readonly side: Side }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'retry' };

export interface TimelineEntry {
  readonly atMs: EpochMs;
  /** `phone-install`, `watch-confirm`, … */
  readonly step: string;
  readonly outcome: string;
  readonly reason?: string;
  /** In the device's words. */
  readonly detail?: string;
}

export interface Transition {
  readonly machine: Machine;
  /** What is out now and was not before; its number is `machine.orders`. */
  readonly order: Order | null;
  readonly entry: Omit<TimelineEntry, 'atMs'> | null;
}

/** Three, so that a person who refuses is asked twice again, and a device that fails gets a day. */
export const ATTEMPTS_MAX = 3;
/** A device that is off over a long weekend still gets it. */
export const ORDER_PATIENCE_MS = 7 * DAY_MS;
/** From taken to installed: a download over a watch's Bluetooth, a prompt that lies there overnight. */
export const CONFIRM_PATIENCE_MS = 3 * DAY_MS;
/** A device that reports by itself does so within seconds of the change; after this it is asked. */
export const REPORT_PATIENCE_MS = 10 * MINUTE_MS;
/** A delivered command does not expire: what is unanswered this long after its end is given up. */
export const ANSWER_GRACE_MS = HOUR_MS;
/** Asking costs battery (facts 12): 1, 2, 4 … minutes apart and at most this, so some twenty times in three days. */
const ASK_AGAIN_MAX_MS = 6 * HOUR_MS;

export function askAgainAfterMs(asks: number): number {
  return Math.min(ASK_AGAIN_MAX_MS, MINUTE_MS * 2 ** Math.min(asks - 1, 10));
}

/** Somebody who said no is left alone for longer than a failure is. `attempt` is the one that failed. */
export function retryAfterMs(attempt: number, reason: string): number {
  const [first, then] = reason.endsWith('-rejected') ? [4 * HOUR_MS, DAY_MS] : [5 * MINUTE_MS, HOUR_MS];
  return attempt === 1 ? first : then;
}

/** In order. Onto the watch from the iPhone; off in the other direction, so that no watch app is left without its own. */
export function sidesInOrder({ action, kind }: Pick<Machine, 'action' | 'kind'>): readonly Side[] {
  if (kind === 'standalone') return ['watch'];
  return action === 'remove' ? ['watch', 'phone'] : ['phone', 'watch'];
}

/** What is under way, as people read it. */
export function stepOf({ action, at, phase }: Pick<Machine, 'action' | 'at' | 'phase'>): string {
  return `${at}-${phase === 'confirming' || phase === 'asked' ? 'confirm' : action}`;
}

export function newMachine(action: Action, kind: AppKind, nowMs: EpochMs): Machine {
  const [at = 'watch'] = sidesInOrder({ action, kind });
  return {
    ...{ action, kind, at, state: 'running', phase: 'waiting', attempt: 1, asks: 0, orders: 0 },
    ...{ beganAtMs: nowMs, takenAtMs: null, deadlineMs: null, dueAtMs: nowMs, seen: null, reason: null },
  };
}

/** What is out; null when nothing is. */
export function orderOf({ phase, action, at, deadlineMs }: Machine): Order | null {
  if (deadlineMs === null) return null;
  if (phase === 'asked') return { kind: 'ask', side: at, expiresAtMs: deadlineMs };
  if (phase !== 'ordered') return null;
  const kind = action === 'remove' ? 'remove' : 'install';
  return { kind, side: at, expiresAtMs: addMs(deadlineMs, -ANSWER_GRACE_MS) };
}
