/**
 * The device's own part of the queue (facts 3): what a report means and what may go out next. Random stories are
 * played against a model: never two outstanding, nothing answered again, nothing lost, order kept within a priority.
 */
import { describe, expect, it } from 'vitest';
import {
  type Candidate,
  chooseCandidate,
  DEFERRED_MAX,
  decideNext,
  decideReport,
  type Outstanding,
  type QueueView,
  type ReportStatus,
} from '../../../src/domain/command/queue.ts';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { type EpochMs, epochMs } from '../../../src/std/time.ts';
import { Random } from '../../simulator/random.ts';

const NOW = epochMs(1_800_000_000_000);
const uuid = (text: string) => text as CommandUuid;

function outstanding(commandUuid: string): Outstanding {
  return {
    commandUuid: uuid(commandUuid),
    requestType: 'X',
    body: { sealed: true, bytes: utf8(commandUuid) },
    expiresAtMs: null,
    deliveredAtMs: NOW,
    deliveries: 1,
    notNows: 0,
  };
}

function view(over: Partial<QueueView> = {}): QueueView {
  return { outstanding: null, deferred: [], workWaits: false, declareWaits: false, ...over };
}

function candidate(commandUuid: string, expiresAtMs: EpochMs | null = null): Candidate {
  return {
    commandUuid: uuid(commandUuid),
    requestType: 'X',
    urgent: false,
    expiresAtMs,
    body: { sealed: true, bytes: utf8(commandUuid) },
    deliveries: 0,
    notNows: 0,
  };
}

/** A report, its effect on the view as the object plays it, and what comes next. */
function decide(queue: QueueView, status: ReportStatus, commandUuid: CommandUuid | null) {
  const effect = decideReport(queue, status, commandUuid);
  const putOff = effect.kind === 'not-now' ? [effect.commandUuid] : [];
  const after = {
    ...queue,
    outstanding: effect.kind === 'answered' || effect.kind === 'not-now' ? null : queue.outstanding,
    deferred: effect.kind === 'session-started' ? [] : [...queue.deferred, ...putOff],
  };
  return { effect, next: decideNext(after, effect.kind) };
}

const many = (count: number) => Array.from({ length: count }, (_, i) => uuid(`deferred-${i}`));

describe('a report', () => {
  it.each<[string, QueueView, ReportStatus, string | null, string, string]>([
    ['Idle with nothing to do ends the session', view(), 'Idle', null, 'session-started', 'empty'],
    [
      'Idle gets the object’s own command',
      view({ declareWaits: true }),
      'Idle',
      null,
      'session-started',
      'declare',
    ],
    [
      'Idle with work as well fetches that first',
      view({ declareWaits: true, workWaits: true }),
      'Idle',
      null,
      'session-started',
      'fetch',
    ],
    [
      'Acknowledged is followed by the object’s own command',
      view({ outstanding: outstanding('A'), declareWaits: true }),
      'Acknowledged',
      'A',
      'answered',
      'declare',
    ],
    [
      'a device that may rest is not given the object’s own command either',
      view({ outstanding: outstanding('A'), deferred: many(DEFERRED_MAX - 1), declareWaits: true }),
      'NotNow',
      'A',
      'not-now',
      'empty',
    ],
    ['Idle with work fetches it', view({ workWaits: true }), 'Idle', null, 'session-started', 'fetch'],
    [
      'Idle while a command is out sends it again',
      view({ outstanding: outstanding('A') }),
      'Idle',
      null,
      'session-started',
      'resend',
    ],
    [
      'Acknowledged settles the command',
      view({ outstanding: outstanding('A') }),
      'Acknowledged',
      'A',
      'answered',
      'empty',
    ],
    [
      'Error settles it too',
      view({ outstanding: outstanding('A'), workWaits: true }),
      'Error',
      'A',
      'answered',
      'fetch',
    ],
    [
      'CommandFormatError settles it too',
      view({ outstanding: outstanding('A') }),
      'CommandFormatError',
      'A',
      'answered',
      'empty',
    ],
    [
      'NotNow puts it off',
      view({ outstanding: outstanding('A'), workWaits: true }),
      'NotNow',
      'A',
      'not-now',
      'fetch',
    ],
    [
      'a result that came before is not counted',
      view({ workWaits: true }),
      'Acknowledged',
      'A',
      'ignored',
      'fetch',
    ],
    [
      'a result for another command leaves the one that is out',
      view({ outstanding: outstanding('A') }),
      'Acknowledged',
      'B',
      'ignored',
      'resend',
    ],
    [
      'NotNow for another command leaves it as well',
      view({ outstanding: outstanding('A') }),
      'NotNow',
      'B',
      'ignored',
      'resend',
    ],
    [
      'a result without CommandUUID is of the one command that is out',
      view({ outstanding: outstanding('A') }),
      'CommandFormatError',
      null,
      'answered',
      'empty',
    ],
    [
      'a result without CommandUUID is nobody’s when none is out',
      view(),
      'CommandFormatError',
      null,
      'ignored',
      'empty',
    ],
    [
      'a device that keeps putting off may rest',
      view({ outstanding: outstanding('A'), deferred: many(DEFERRED_MAX - 1), workWaits: true }),
      'NotNow',
      'A',
      'not-now',
      'empty',
    ],
    [
      'one fewer, and it gets another',
      view({ outstanding: outstanding('A'), deferred: many(DEFERRED_MAX - 2), workWaits: true }),
      'NotNow',
      'A',
      'not-now',
      'fetch',
    ],
    [
      'a new session starts afresh',
      view({ deferred: many(DEFERRED_MAX), workWaits: true }),
      'Idle',
      null,
      'session-started',
      'fetch',
    ],
  ])('%s', (_sentence, queue, status, commandUuid, effect, next) => {
    const decided = decide(queue, status, commandUuid === null ? null : uuid(commandUuid));
    expect([decided.effect.kind, decided.next]).toEqual([effect, next]);
  });

  it.each<[ReportStatus, string]>([
    ['Acknowledged', 'acknowledged'],
    ['Error', 'error'],
    ['CommandFormatError', 'error'],
  ])('%s ends in the state %s', (status, state) => {
    const effect = decideReport(view({ outstanding: outstanding('A') }), status, uuid('A'));
    expect(effect).toEqual({ kind: 'answered', commandUuid: 'A', state });
  });
});

describe('the choice among what D1 shows', () => {
  const never = () => false;

  it('is the first', () => {
    expect(chooseCandidate([candidate('A'), candidate('B')], [], never, NOW)?.commandUuid).toBe('A');
  });

  it('passes over what was put off, what is done and what has expired', () => {
    const rows = [candidate('A'), candidate('B'), candidate('C', NOW), candidate('D', epochMs(NOW + 1))];
    const chosen = chooseCandidate(rows, [uuid('A')], (commandUuid) => commandUuid === 'B', NOW);
    expect(chosen?.commandUuid).toBe('D');
  });

  it('is nothing when nothing is left', () => {
    expect(chooseCandidate([], [], never, NOW)).toBeNull();
    expect(chooseCandidate([candidate('A')], [uuid('A')], never, NOW)).toBeNull();
  });
});

/** The object and D1 as far as a queue has them; D1 hears of results late. */
class Model {
  readonly rows: (Candidate & { priority: number })[] = [];
  readonly done = new Set<string>();
  readonly answered: string[] = [];
  readonly delivered: string[] = [];
  out: Outstanding | null = null;
  deferred: CommandUuid[] = [];
  told = 0;
  cleared = 0;
  undrained: string[] = [];
  #made = 0;

  enqueue(priority: number): void {
    const row = { ...candidate(`${priority}-${this.#made++}`), priority };
    const at = this.rows.findIndex((other) => other.priority > priority);
    this.rows.splice(at < 0 ? this.rows.length : at, 0, row);
    this.told += 1;
  }

  get made(): number {
    return this.#made;
  }

  drain(): void {
    for (const gone of this.undrained) {
      const at = this.rows.findIndex((row) => row.commandUuid === gone);
      if (at >= 0) this.rows.splice(at, 1);
    }
    this.undrained = [];
  }

  /** A report, and the offer that it may lead to; another one may slip in between. */
  report(status: ReportStatus, commandUuid: CommandUuid | null, between: () => void): string | null {
    const effect = decideReport({ outstanding: this.out }, status, commandUuid);
    if (effect.kind === 'session-started') this.deferred = [];
    if (effect.kind === 'not-now') {
      this.out = null;
      this.deferred = [...this.deferred, effect.commandUuid];
    }
    if (effect.kind === 'answered') {
      expect(this.done.has(effect.commandUuid)).toBe(false);
      this.out = null;
      this.done.add(effect.commandUuid);
      this.answered.push(effect.commandUuid);
      this.undrained.push(effect.commandUuid);
    }
    const workWaits = this.told > this.cleared;
    const queue = { outstanding: this.out, deferred: this.deferred, workWaits, declareWaits: false };
    const next = decideNext(queue, effect.kind);
    if (next === 'resend') return this.out?.commandUuid ?? null;
    if (next === 'empty') return null;
    const told = this.told;
    const limit = this.deferred.length + 8;
    const shown = this.rows.slice(0, limit);
    between();
    if (this.out !== null) return this.out.commandUuid;
    const chosen = chooseCandidate(shown, this.deferred, (one) => this.done.has(one), NOW);
    if (chosen === null) {
      if (shown.length < limit && this.deferred.length === 0) this.cleared = told;
      return null;
    }
    this.out = outstanding(chosen.commandUuid);
    this.delivered.push(chosen.commandUuid);
    return chosen.commandUuid;
  }
}

describe('random stories', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'keep one command out, each answered once, none lost: seed %i',
    (seed) => {
      const dice = new Random(seed);
      const model = new Model();
      const seen: CommandUuid[] = [];
      const step = (depth: number): void => {
        const deed = dice.int(10);
        if (deed < 4) {
          if (deed < 3) model.enqueue(dice.int(2));
          else model.drain();
          return;
        }
        const known = deed < 8 ? model.out?.commandUuid : seen[dice.int(Math.max(1, seen.length))];
        const commandUuid = known ?? null;
        const status =
          commandUuid === null
            ? 'Idle'
            : dice.pick<ReportStatus>(['Acknowledged', 'Error', 'NotNow', 'Idle']);
        const given = model.report(status, status === 'Idle' ? null : commandUuid, () => {
          if (depth < 2) step(depth + 1);
        });
        if (given === null) return;
        expect(model.done.has(given), `${given} came after it was answered`).toBe(false);
        expect(model.out?.commandUuid, 'what was given is what is out').toBe(given);
        seen.push(uuid(given));
      };
      for (let i = 0; i < 400; i++) step(0);
      for (let sessions = 0; new Set(model.answered).size < model.made; sessions++) {
        if (sessions > 100) throw new Error('the queue never empties');
        model.drain();
        let given = model.report('Idle', null, () => {});
        while (given !== null) {
          given = model.report('Acknowledged', uuid(given), () => {
            if (dice.chance(0.3)) model.drain();
          });
        }
      }
      expect(model.answered).toHaveLength(model.made);
      model.drain();
      expect(model.report('Idle', null, () => {})).toBeNull();
      expect(model.told, 'a queue that was emptied costs no further look').toBe(model.cleared);
    },
  );

  it('deliver in order within a priority, urgent ones first', () => {
    for (let seed = 0; seed < 20; seed++) {
      const dice = new Random(seed);
      const model = new Model();
      for (let i = 0; i < 30; i++) model.enqueue(dice.int(2));
      for (let given = model.report('Idle', null, () => {}); given !== null; )
        given = model.report('Acknowledged', uuid(given), () => {
          if (dice.chance(0.5)) model.drain();
        });
      const number = (one: string) => one.split('-').map(Number) as [number, number];
      const inOrder = [...model.delivered].sort(
        (a, b) => number(a)[0] - number(b)[0] || number(a)[1] - number(b)[1],
      );
      expect(model.delivered).toEqual(inOrder);
    }
  });
});
