/**
 * The device's side of the command queue, as its object plays it: what a report settles, what goes out next, what is
 * given up. Synchronous, inside the object's transaction; `domain/command/queue.ts` has the rules.
 */
import { type GivenUp, takesUnlockToken } from '../../domain/command/content.ts';
import { chooseCandidate, decideNext, decideReport, type ReportEffect } from '../../domain/command/queue.ts';
import type { ConnectStep, Delivery, DeviceReport, Offer } from '../../domain/enrollment/device.ts';
import { withFacts } from '../../domain/enrollment/facts.ts';
import type { DeviceMessage, Sent } from '../../domain/enrollment/outbox.ts';
import type { Enrollment } from '../../domain/enrollment/state.ts';
import type { DeviceEvent } from '../../domain/event/event.ts';
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DeclareCommand } from './declare-command.ts';
import type { DeviceStore } from './store.ts';

/** One unreadable result could be a mishap on the way, and a second; a device resends the same bytes each time. */
const UNREADABLE_MAX = 3;

type Result = Pick<DeviceReport, 'facts'> & { readonly status: string; readonly raw: Bytes | null };

export interface SessionHost {
  readonly udid: Udid;
  readonly post: (message: DeviceMessage) => void;
  readonly happened: (event: DeviceEvent, nowMs: EpochMs) => void;
  /** What the device told changes what is known of it. */
  readonly became: (enrollment: Enrollment, nowMs: EpochMs) => void;
}

export class CommandSession {
  readonly #store: DeviceStore;
  readonly #declare: DeclareCommand;
  readonly #udid: Udid;
  readonly #post: (message: DeviceMessage) => void;
  readonly #happened: SessionHost['happened'];
  readonly #became: SessionHost['became'];

  constructor(store: DeviceStore, declare: DeclareCommand, host: SessionHost) {
    this.#store = store;
    this.#declare = declare;
    this.#udid = host.udid;
    this.#post = host.post;
    this.#happened = host.happened;
    this.#became = host.became;
  }

  report(enrollmentId: string, report: DeviceReport, nowMs: EpochMs): ConnectStep {
    const store = this.#store;
    this.#dropExpired(report.status, nowMs);
    const effect = decideReport(store, report.status, report.commandUuid);
    if (effect.kind === 'session-started') store.startSession();
    if (effect.kind === 'not-now') this.#putOff(effect.commandUuid, nowMs);
    if (effect.kind === 'answered') this.#settle(effect.commandUuid, effect.state, report, nowMs);
    if (effect.kind === 'ignored') this.#takeLate(report, nowMs);
    const step = this.#next(enrollmentId, effect.kind, nowMs);
    if (step.kind === 'empty' && report.status !== 'NotNow') this.#wakeForDeferred();
    return step;
  }

  /** Makes its choice outstanding. Null ends the session. */
  offer(offer: Offer, nowMs: EpochMs): Delivery | null {
    const store = this.#store;
    // Another connection of the same device was faster: one command at a time, so it gets that one again.
    if (store.outstanding !== null) return this.#resend(nowMs);
    const ended = (commandUuid: CommandUuid) => store.ending(commandUuid) !== null;
    const chosen = chooseCandidate(offer.candidates, store.deferred, ended, nowMs);
    // A row of the object's own command, from when it went out before, is at most among the others: while that waits
    // it goes first, with the newest token, and once it is put off it is passed over like them.
    const own = chosen?.urgent === true ? null : this.#deliverDeclare(nowMs);
    if (own !== null) return own;
    if (chosen === null) {
      const nothingWaits = offer.complete && store.deferred.length === 0;
      if (nothingWaits) store.saveProgress({ workCleared: offer.workTold });
      // All that was shown ended in this moment, and there is more.
      if (!offer.complete) this.#post({ kind: 'wake', udid: this.#udid });
      else if (offer.lastStatus !== 'NotNow') this.#wakeForDeferred();
      return null;
    }
    const { commandUuid, requestType, body, expiresAtMs, deliveries, notNows, farewell = null } = chosen;
    const out = { deliveredAtMs: nowMs, deliveries: deliveries + 1, notNows, farewell };
    store.saveOutstanding({ commandUuid, requestType, body, expiresAtMs, ...out });
    this.#post({ kind: 'progress', commandUuid, state: 'delivered', sent: this.#sent() });
    return this.#delivery();
  }

  /** The outstanding command, if it is this one, ends as failed without having reached the device this time. */
  giveUp(enrollmentId: string, commandUuid: CommandUuid, status: GivenUp, nowMs: EpochMs): ConnectStep {
    if (this.#store.outstanding?.commandUuid === commandUuid)
      this.#settle(commandUuid, 'error', { status, raw: null, facts: null }, nowMs);
    const step = this.#next(enrollmentId, 'answered', nowMs);
    // What the device said last is not asked: one push too many is better than commands that nobody fetches.
    if (step.kind === 'empty') this.#wakeForDeferred();
    return step;
  }

  #next(enrollmentId: string, effect: ReportEffect['kind'], nowMs: EpochMs): ConnectStep {
    const store = this.#store;
    const next = decideNext(store, effect);
    const delivery =
      next === 'resend' ? this.#resend(nowMs) : next === 'declare' ? this.#deliverDeclare(nowMs) : null;
    if (delivery !== null) return { kind: 'deliver', delivery };
    if (next !== 'fetch') return { kind: 'empty' };
    // The object's own command may have a row there as well, from when it went out before.
    const own = store.declare === null ? [] : [store.declare.commandUuid];
    const passedOver = [...store.deferred, ...store.untold(), ...own];
    return { kind: 'fetch', enrollmentId, workTold: store.progress.workTold, passedOver };
  }

  #resend(nowMs: EpochMs): Delivery | null {
    this.#store.countDelivery(nowMs);
    return this.#delivery();
  }

  /** Null when none is due in this session. */
  #deliverDeclare(nowMs: EpochMs): Delivery | null {
    const delivery = this.#declare.deliver(this.#udid, nowMs);
    if (delivery === null) return null;
    this.#store.saveOutstanding(delivery.outstanding);
    this.#post(delivery.message);
    return this.#delivery();
  }

  /** What is outstanding, for whoever hands it to the device. */
  #delivery(): Delivery | null {
    const { outstanding, enrollment } = this.#store;
    if (outstanding === null) return null;
    const { commandUuid, requestType, body } = outstanding;
    const unlockToken = takesUnlockToken(requestType) ? (enrollment?.unlockToken ?? null) : null;
    return { commandUuid, requestType, body, unlockToken };
  }

  /** Of what is outstanding. */
  #sent(): Sent {
    const { outstanding } = this.#store;
    if (outstanding === null) return null;
    const { deliveredAtMs, deliveries, notNows } = outstanding;
    return { deliveredAtMs, deliveries, notNows };
  }

  /** True when the outstanding command was given up for a result that nobody can read. */
  countUnreadable(nowMs: EpochMs): boolean {
    const { outstanding } = this.#store;
    if (outstanding === null || this.#store.countUnreadable() < UNREADABLE_MAX) return false;
    const report = { status: 'Unreadable', raw: null, facts: null };
    this.#settle(outstanding.commandUuid, 'error', report, nowMs);
    return true;
  }

  /** False when the device has the command, or answered it. */
  cancel(commandUuid: CommandUuid, nowMs: EpochMs): boolean {
    if (this.#store.outstanding?.commandUuid === commandUuid) return false;
    if (this.#store.ending(commandUuid) === 'answered') return false;
    // Told again if it was canceled before: it may have been queued only after that.
    this.#store.settle(commandUuid, 'canceled', nowMs);
    this.#declare.canceled(commandUuid);
    this.#post({ kind: 'cancel', commandUuid, state: 'canceled', atMs: nowMs });
    return true;
  }

  /** A command whose reply was lost is said again, but not after its time. */
  #dropExpired(status: DeviceReport['status'], nowMs: EpochMs): void {
    const { outstanding } = this.#store;
    const over = outstanding?.expiresAtMs != null && outstanding.expiresAtMs <= nowMs;
    if (outstanding === null || !over || status !== 'Idle') return;
    const { commandUuid } = outstanding;
    this.#store.saveOutstanding(null);
    this.#store.settle(commandUuid, 'canceled', nowMs);
    this.#post({ kind: 'cancel', commandUuid, state: 'expired', atMs: nowMs });
  }

  /** The answer to a command that was given up: what the device did outranks that. */
  #takeLate(report: DeviceReport, nowMs: EpochMs): void {
    const { commandUuid, status, raw } = report;
    if (commandUuid === null || status === 'NotNow' || this.#store.ending(commandUuid) !== 'canceled') return;
    const state = status === 'Acknowledged' ? 'acknowledged' : 'error';
    const of = { udid: this.#udid, commandUuid, requestType: null };
    this.#post({ kind: 'result', ...of, state, status, answeredAtMs: nowMs, sent: null, raw });
    this.#happened({ kind: 'command-answered', commandUuid, requestType: null, state, status }, nowMs);
  }

  #putOff(commandUuid: CommandUuid, nowMs: EpochMs): void {
    const sent = this.#sent();
    this.#store.saveOutstanding(null);
    this.#store.settle(commandUuid, 'deferred', nowMs);
    this.#declare.putOff(commandUuid);
    const counted = sent === null ? null : { ...sent, notNows: sent.notNows + 1 };
    this.#post({ kind: 'progress', commandUuid, state: 'not-now', sent: counted });
  }

  #settle(commandUuid: CommandUuid, state: 'acknowledged' | 'error', result: Result, nowMs: EpochMs): void {
    const { outstanding, enrollment } = this.#store;
    const [sent, requestType] = [this.#sent(), outstanding?.requestType ?? null];
    const own = this.#store.declare?.commandUuid === commandUuid;
    this.#store.saveOutstanding(null);
    this.#store.settle(commandUuid, 'answered', nowMs);
    this.#declare.ended(commandUuid);
    const { status, raw, facts } = result;
    const of = { udid: this.#udid, commandUuid, requestType };
    this.#post({ kind: 'result', ...of, state, status, answeredAtMs: nowMs, sent, raw });
    // Of the object's own command nobody waits for an answer, unless it is that it cannot be done.
    if (!own || state === 'error')
      this.#happened({ kind: 'command-answered', commandUuid, requestType, state, status }, nowMs);
    if (enrollment === null || state === 'error') return;
    const known = facts === null ? enrollment : withFacts(enrollment, facts);
    const why = outstanding?.farewell ?? null;
    this.#became(why === null ? known : { ...known, presumedEnd: { why, commandUuid, atMs: nowMs } }, nowMs);
  }

  /** NotNow that was not the session's last word: the device will not come back by itself (handbook section 3). */
  #wakeForDeferred(): void {
    if (this.#store.deferred.length > 0) this.#post({ kind: 'wake', udid: this.#udid });
  }
}
