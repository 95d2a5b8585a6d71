/**
 * What the queue of one device must do with every exchange on the command channel, seen from outside: at most one
 * command outstanding, urgent ones first, order kept within a priority, nothing after it was answered, taken back or
 * expired, what was put off not again before the next session, and nothing kept back that could go. The server's own
 * DeclarativeManagement command stands between the urgent ones and the others, whenever it likes.
 */
import { expect } from 'vitest';

export interface Known {
  readonly uuid: string;
  readonly requestType: string;
  readonly urgent: boolean;
  readonly expiresAtMs: number | null;
  /** `dropped` expired while it was out. */
  state: 'waiting' | 'acknowledged' | 'error' | 'canceled' | 'dropped';
  /** Times it was answered with NotNow. */
  deferrals: number;
}

const OWN = 'DeclarativeManagement';
/** The server reads the clock somewhere within an exchange. */
const SLACK_MS = 3;

export class QueueModel {
  readonly #name: string;
  readonly known: Known[] = [];
  #outstanding: string | null = null;
  readonly #deferred = new Set<string>();
  /** Exchanges after which the device would not come back by itself, since the last `forgetWakes`. */
  wakesDue = 0;

  constructor(name: string) {
    this.#name = name;
  }

  ordered(uuid: string, requestType: string, urgent: boolean, expiresAtMs: number | null): void {
    this.known.push({ uuid, requestType, urgent, expiresAtMs, state: 'waiting', deferrals: 0 });
  }

  /** Whether it can be taken back; null while its time is just running out. */
  cancelable(one: Known, atMs: number): boolean | null {
    if (one.state !== 'waiting' || one.uuid === this.#outstanding) return false;
    const time = timeOf(one, atMs, atMs);
    return time === 'now' ? null : time === 'ahead';
  }

  forgetWakes(): void {
    this.wakesDue = 0;
  }

  /** One message of the device and what it was answered, between two readings of the clock. */
  exchange(sent: string, answered: string, fromMs: number, toMs: number): void {
    const status = keyOf(sent, 'Status') ?? '';
    const given = keyOf(answered, 'CommandUUID');
    if (status === 'Idle') this.#begin(given, fromMs, toMs);
    else this.#take(status, keyOf(sent, 'CommandUUID') ?? '');
    const said = `${this.#name} said ${status}`;
    if (this.#outstanding !== null) {
      expect(given, `${said}: what is out is said again, and nothing else`).toBe(this.#outstanding);
      return;
    }
    const order = this.#waiting().filter((one) => timeOf(one, fromMs, toMs) !== 'over');
    const due = order.find((one) => timeOf(one, fromMs, toMs) === 'ahead');
    if (given === null) {
      expect(due?.uuid, `${said}: ${due?.requestType} could go`).toBeUndefined();
      if (this.#deferred.size > 0 && status !== 'NotNow') this.wakesDue += 1;
    } else if (keyOf(answered, 'RequestType') === OWN) {
      expect(due?.urgent ?? false, `${said}: the urgent ones go first`).toBe(false);
    } else {
      const [at, dueAt] = [given, due?.uuid].map((uuid) => order.findIndex((one) => one.uuid === uuid));
      expect(at, `${said}: ${given} is none that waits`).toBeGreaterThanOrEqual(0);
      if (dueAt !== -1)
        expect(at, `${said}: ${due?.requestType} is before it`).toBeLessThanOrEqual(dueAt ?? -1);
    }
    this.#outstanding = given;
  }

  /** A new session. What was out when its time came is not said again. */
  #begin(given: string | null, fromMs: number, toMs: number): void {
    this.#deferred.clear();
    const one = this.known.find((each) => each.uuid === this.#outstanding);
    if (one === undefined) return;
    const time = timeOf(one, fromMs, toMs);
    if (time === 'ahead' || (time === 'now' && given === one.uuid)) return;
    one.state = 'dropped';
    this.#outstanding = null;
  }

  #take(status: string, uuid: string): void {
    const one = this.known.find((each) => each.uuid === uuid);
    if (uuid === this.#outstanding) {
      this.#outstanding = null;
      if (status === 'NotNow') this.#deferred.add(uuid);
    } else if (one?.state !== 'dropped') return;
    if (one === undefined) return;
    if (status === 'NotNow') one.deferrals += 1;
    else one.state = status === 'Acknowledged' ? 'acknowledged' : 'error';
  }

  #waiting(): Known[] {
    const waiting = this.known.filter((one) => one.state === 'waiting' && !this.#deferred.has(one.uuid));
    return [...waiting.filter((one) => one.urgent), ...waiting.filter((one) => !one.urgent)];
  }
}

/** Against the times between which the server looked. */
function timeOf({ expiresAtMs }: Known, fromMs: number, toMs: number): 'over' | 'now' | 'ahead' {
  if (expiresAtMs === null || expiresAtMs > toMs + SLACK_MS) return 'ahead';
  return expiresAtMs < fromMs - SLACK_MS ? 'over' : 'now';
}

function keyOf(xml: string, key: string): string | null {
  return new RegExp(`<key>${key}</key>\\s*<string>([^<]*)`).exec(xml)?.[1] ?? null;
}
