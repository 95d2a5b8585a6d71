/** What happens next in a deployment: each event in each phase, and random walks in which order and limits hold. */
import { describe, expect, it } from 'vitest';
import { APP_KINDS, type AppKind } from '../../../src/domain/app/app.ts';
import {
  ACTIONS,
  type Action,
  ATTEMPTS_MAX,
  CONFIRM_PATIENCE_MS,
  type DeploymentEvent,
  type Machine,
  newMachine,
  ORDER_PATIENCE_MS,
  orderOf,
  REPORT_PATIENCE_MS,
} from '../../../src/domain/app/machine.ts';
import { transition } from '../../../src/domain/app/transitions.ts';
import { addMs, DAY_MS, type EpochMs, epochMs, HOUR_MS, MINUTE_MS } from '../../../src/std/time.ts';

const NOW = epochMs(1_700_000_000_000);

/** A deployment that is told one thing after another, a second apart. */
class Told {
  machine: Machine;
  nowMs: EpochMs = NOW;
  readonly steps: string[] = [];

  constructor(action: Action, kind: AppKind) {
    this.machine = newMachine(action, kind, NOW);
  }

  tell(event: DeploymentEvent, afterMs = 1000): this {
    this.nowMs = addMs(this.nowMs, afterMs);
    const next = transition(this.machine, event, this.nowMs);
    if (next === null) {
      this.steps.push(`${event.kind}: nothing`);
      return this;
    }
    this.machine = next.machine;
    const { entry, order } = next;
    const reason = entry?.reason === undefined ? '' : `!${entry.reason}`;
    if (entry !== null) this.steps.push(`${entry.step} ${entry.outcome}${reason}`);
    if (order !== null) this.steps.push(`→ ${order.kind} ${order.side}`);
    return this;
  }

  /** The step is ordered and taken, and the device is to report. */
  take(reports = true): this {
    return this.tell({ kind: 'begin' }).tell({ kind: 'taken', state: 'Queued', rejection: null, reports });
  }

  report(status: string | null): this {
    return this.tell({ kind: 'reported', status, sinceMs: addMs(this.nowMs, 1) });
  }
}

const taken = (state: string | null, rejection: string | null = null): DeploymentEvent => ({
  kind: 'taken',
  state,
  rejection,
  reports: true,
});
const error = (detail: string | null, rejection: string | null = null): DeploymentEvent => ({
  kind: 'error',
  detail,
  rejection,
  reports: true,
});

describe('an app', () => {
  it.each(['paired', 'dependent'] as const)('that is %s goes to the iPhone, then to the watch', (kind) => {
    const told = new Told('install', kind).take().report('Installing').report('Managed');
    expect(told.machine).toMatchObject({ at: 'watch', phase: 'waiting', state: 'running' });
    told.take().report('Managed');
    expect(told.machine).toMatchObject({ at: 'watch', phase: 'over', state: 'done', reason: null });
    expect(told.steps).toEqual([
      ...['phone-install queued', '→ install phone', 'phone-install taken'],
      ...['phone-confirm pending', 'phone-confirm done'],
      ...['watch-install queued', '→ install watch', 'watch-install taken', 'watch-confirm done'],
    ]);
  });

  it('that is standalone goes to the watch alone', () => {
    const told = new Told('update', 'standalone').take().report('Managed');
    expect(told.machine.state).toBe('done');
    expect(told.steps).toEqual([
      ...['watch-update queued', '→ install watch', 'watch-update taken', 'watch-confirm done'],
    ]);
  });

  it('is removed from the watch, then from the iPhone', () => {
    const told = new Told('remove', 'paired').take().report(null).take().report(null);
    expect(told.machine.state).toBe('done');
    expect(told.steps.filter((step) => step.startsWith('→'))).toEqual(['→ remove watch', '→ remove phone']);
  });

  it('stays on the iPhone for another watch', () => {
    const told = new Told('remove', 'paired').take().report(null).tell({ kind: 'still-needed' });
    expect(told.machine).toMatchObject({ state: 'done', at: 'phone' });
    expect(told.steps.at(-1)).toBe('phone-remove skipped!needed-by-another-watch');
    const again = new Told('remove', 'paired')
      .take()
      .report(null)
      .take()
      .tell({ kind: 'time' }, CONFIRM_PATIENCE_MS);
    expect(again.machine).toMatchObject({ at: 'phone', phase: 'backing-off' });
    expect(again.tell({ kind: 'still-needed' }).machine).toMatchObject({ state: 'done', at: 'phone' });
    const onto = new Told('install', 'paired').tell({ kind: 'still-needed' });
    expect(onto.steps).toEqual(['still-needed: nothing']);
  });
});

describe('an answer', () => {
  it.each([
    [taken('UserRejected'), 'phone-install will-retry!user-rejected'],
    [taken(null, 'AppStoreDisabled'), 'phone-install will-retry!app-store-disabled'],
    [taken(null, 'NotSupported'), 'phone-install failed!not-supported'],
    [
      taken(null, 'PurchaseMethodNotSupportedInMultiUser'),
      'phone-install failed!purchase-method-not-supported-in-multi-user',
    ],
    [taken('Queued', 'AppAlreadyQueued'), 'phone-install taken!app-already-queued'],
    [error('No such app.'), 'phone-install will-retry!command-error'],
    [error('It is on its way.', 'AppAlreadyQueued'), 'phone-install error!app-already-queued'],
    [error('What is this?', 'NotAnApp'), 'phone-install failed!not-an-app'],
    [{ kind: 'unanswered', how: 'expired' }, 'phone-install failed!command-expired'],
    [{ kind: 'unanswered', how: 'canceled' }, 'phone-install failed!command-canceled'],
    [
      { kind: 'refused', reason: 'queue-full', detail: null, permanent: false },
      'phone-install will-retry!queue-full',
    ],
    [
      { kind: 'refused', reason: 'invalid-command', detail: 'x', permanent: true },
      'phone-install failed!invalid-command',
    ],
    [{ kind: 'gone', side: 'phone' }, 'phone-install failed!phone-not-enrolled'],
    [{ kind: 'cancel' }, 'phone-install canceled'],
    [{ kind: 'listed', status: 'Managed' }, 'listed: nothing'],
    [{ kind: 'reported', status: 'Managed', sinceMs: addMs(NOW, DAY_MS) }, 'reported: nothing'],
    [{ kind: 'begin' }, 'begin: nothing'],
    [{ kind: 'time' }, 'time: nothing'],
  ] satisfies [DeploymentEvent, string][])('%j to an installation: %s', (event, expected) => {
    const told = new Told('install', 'paired').tell({ kind: 'begin' }).tell(event);
    expect(told.steps.slice(2)).toEqual([expected]);
  });

  it('with an error to a removal leaves it to the device’s list', () => {
    const told = new Told('remove', 'standalone').tell({ kind: 'begin' }).tell(error('It is not managed.'));
    expect(told.machine).toMatchObject({ phase: 'confirming', state: 'running' });
    expect(told.tell({ kind: 'time' }).steps.at(-1)).toBe('→ ask watch');
    expect(told.tell({ kind: 'listed', status: null }).machine.state).toBe('done');
  });

  it('with an error to a removal of what the device goes on listing fails that attempt, not in days', () => {
    const told = new Told('remove', 'standalone');
    told.tell({ kind: 'begin' });
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      told.tell(error('Not now.')).tell({ kind: 'time' }).tell({ kind: 'listed', status: 'Managed' });
      if (attempt < ATTEMPTS_MAX) told.tell({ kind: 'time' }, Number(told.machine.dueAtMs) - told.nowMs);
    }
    expect(told.machine).toMatchObject({ state: 'failed', reason: 'command-error', attempt: ATTEMPTS_MAX });
    expect(told.nowMs - NOW).toBeLessThan(2 * HOUR_MS);
  });

  it('that it is managed already has the device asked at once: it reports only what changes', () => {
    const told = new Told('install', 'standalone').tell({ kind: 'begin' }).tell(taken('Managed'));
    expect(told.tell({ kind: 'time' }, 0).steps.at(-1)).toBe('→ ask watch');
  });

  it('that the app is there already is believed once the device lists it', () => {
    const already = () =>
      new Told('install', 'standalone').tell({ kind: 'begin' }).tell(error('There.', 'AppAlreadyInstalled'));
    expect(already().tell({ kind: 'time' }).steps.at(-1)).toBe('→ ask watch');
    const ours = already().tell({ kind: 'time' }).tell({ kind: 'listed', status: 'Managed' });
    expect(ours.machine.state).toBe('done');
    const theirs = already().tell({ kind: 'time' }).tell({ kind: 'listed', status: null });
    expect(theirs.machine).toMatchObject({ state: 'failed', reason: 'user-installed', attempt: 1 });
  });
});

describe('what a device reports', () => {
  it.each([
    ['Managed', 'watch-confirm done'],
    ['UserRejected', 'watch-confirm will-retry!user-rejected'],
    ['UpdateRejected', 'watch-confirm will-retry!update-rejected'],
    ['ManagementRejected', 'watch-confirm will-retry!management-rejected'],
    ['Failed', 'watch-confirm will-retry!install-failed'],
    ['ManagedButUninstalled', 'watch-confirm will-retry!uninstalled'],
    ['UserInstalledApp', 'watch-confirm failed!user-installed'],
    ['Prompting', 'watch-confirm pending'],
    ['SomethingNew', 'watch-confirm pending'],
    [null, 'watch-confirm pending'],
  ])('%s of an app that is to be installed: %s', (status, expected) => {
    expect(new Told('install', 'standalone').take().report(status).steps.at(-1)).toBe(expected);
    const asked = new Told('install', 'standalone').take(false).tell({ kind: 'time' });
    expect(asked.tell({ kind: 'listed', status }).steps.at(-1)).toBe(expected);
  });

  it.each([
    [null, 'watch-confirm done'],
    ['ManagedButUninstalled', 'watch-confirm done'],
    ['UserInstalledApp', 'watch-confirm done'],
    ['Managed', 'watch-confirm pending'],
    ['Updating', 'watch-confirm pending'],
  ])('%s of an app that is to be removed: %s', (status, expected) => {
    expect(new Told('remove', 'standalone').take().report(status).steps.at(-1)).toBe(expected);
  });

  it('counts only from when it took the command', () => {
    const told = new Told('update', 'standalone').take();
    told.tell({ kind: 'reported', status: 'Managed', sinceMs: addMs(told.nowMs, -1) });
    expect(told.steps.at(-1)).toBe('reported: nothing');
  });

  it('stands on the timeline once, however often it is said', () => {
    const told = new Told('install', 'standalone').take().report('Prompting').report('Prompting');
    expect(told.steps.slice(-2)).toEqual(['watch-confirm pending', 'reported: nothing']);
  });
});

describe('time', () => {
  it('has a silent device asked, at longer and longer intervals', () => {
    const told = new Told('install', 'standalone').take();
    expect(told.tell({ kind: 'time' }, REPORT_PATIENCE_MS - 1).steps.at(-1)).toBe('time: nothing');
    told.tell({ kind: 'time' }, 1);
    const waits: number[] = [];
    for (let i = 0; i < 11; i++) {
      told.tell({ kind: 'listed', status: 'Prompting' });
      waits.push((Number(told.machine.dueAtMs) - told.nowMs) / MINUTE_MS);
      told.tell({ kind: 'time' }, Number(told.machine.dueAtMs) - told.nowMs);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]);
    // The first question and the first answer stand on the timeline; the rest is more of the same.
    expect(told.steps.filter((step) => !step.startsWith('→'))).toEqual([
      ...['watch-install queued', 'watch-install taken', 'time: nothing'],
      ...['watch-confirm asked', 'watch-confirm pending'],
    ]);
  });

  it('gives up a command that is never answered', () => {
    const told = new Told('install', 'standalone').tell({ kind: 'begin' });
    expect(told.tell({ kind: 'time' }, ORDER_PATIENCE_MS).machine.state).toBe('running');
    told.tell({ kind: 'time' }, HOUR_MS);
    expect(told.machine).toMatchObject({ state: 'failed', reason: 'command-timed-out' });
  });

  it('makes another attempt where nothing came of one, and fails after the last', () => {
    const told = new Told('install', 'standalone');
    told.tell({ kind: 'begin' });
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      expect(told.machine.attempt).toBe(attempt);
      told.tell(taken('Queued')).tell({ kind: 'time' }, CONFIRM_PATIENCE_MS);
      if (attempt < ATTEMPTS_MAX) told.tell({ kind: 'time' }, Number(told.machine.dueAtMs) - told.nowMs);
    }
    expect(told.machine).toMatchObject({ state: 'failed', reason: 'not-confirmed' });
  });

  it('leaves a person who said no alone for hours', () => {
    const told = new Told('install', 'standalone').take().report('UserRejected');
    expect(told.tell({ kind: 'time' }, 4 * HOUR_MS - 1).steps.at(-1)).toBe('time: nothing');
    expect(told.tell({ kind: 'time' }, 1).steps.slice(-2)).toEqual([
      'watch-install queued',
      '→ install watch',
    ]);
  });
});

describe('an administrator', () => {
  it('may try again what failed or was canceled, on the side where it ended', () => {
    const told = new Told('install', 'paired').take().report('Managed').tell({ kind: 'cancel' });
    expect(told.tell({ kind: 'retry' }).machine).toMatchObject({
      at: 'watch',
      phase: 'waiting',
      state: 'running',
    });
    expect(told.machine.attempt).toBe(1);
  });

  it('may not try again what is done or runs', () => {
    expect(new Told('install', 'paired').tell({ kind: 'retry' }).steps).toEqual(['retry: nothing']);
    const done = new Told('install', 'standalone').take().report('Managed');
    expect(done.tell({ kind: 'retry' }).steps.at(-1)).toBe('retry: nothing');
  });
});

/** mulberry32. */
function dice(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const WORDS = [
  'Queued',
  'Prompting',
  'Installing',
  'Managed',
  'UserRejected',
  'Failed',
  'ManagedButUninstalled',
  null,
];

describe('any walk', () => {
  it.each(Array.from({ length: 300 }, (_, seed) => seed))('from seed %i keeps the order and ends', (seed) => {
    const random = dice(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const told = new Told(pick(ACTIONS), pick(APP_KINDS));
    const sides: string[] = [];
    for (let i = 0; i < 2000 && told.machine.state === 'running'; i++) {
      const before = told.machine;
      const events: DeploymentEvent[] = [
        { kind: 'begin' },
        { kind: 'time' },
        { kind: 'listed', status: pick(WORDS) },
        { kind: 'reported', status: pick(WORDS), sinceMs: addMs(told.nowMs, pick([-60_000, 0])) },
        taken(pick(WORDS), pick([null, null, 'AppAlreadyQueued', 'Other'])),
        error(null),
        { kind: 'refused', reason: 'queue-full', detail: null, permanent: false },
      ];
      told.tell(pick(events), pick([0, 1000, MINUTE_MS, HOUR_MS, DAY_MS]));
      const { machine } = told;
      // Out is what `orderOf` says; a new one is made only when none was out, and has the next number.
      if (machine.orders > before.orders) {
        expect(orderOf(before), 'a command while one is out').toBeNull();
        expect(machine.orders).toBe(before.orders + 1);
        if (machine.phase === 'ordered') sides.push(machine.at);
      }
      expect(machine.attempt).toBeLessThanOrEqual(ATTEMPTS_MAX);
      expect(machine.state === 'running').toBe(machine.phase !== 'over');
      expect(machine.state === 'running' && machine.dueAtMs === null, 'nothing would go on').toBe(false);
    }
    expect(told.machine.state).not.toBe('running');
    const order = told.machine.action === 'remove' ? ['watch', 'phone'] : ['phone', 'watch'];
    const allowed = told.machine.kind === 'standalone' ? ['watch'] : order;
    expect([...new Set(sides)]).toEqual(allowed.slice(0, new Set(sides).size));
    expect(sides).toEqual([...sides].sort((a, b) => allowed.indexOf(a) - allowed.indexOf(b)));
    if (told.machine.state === 'done') expect(new Set(sides).size).toBe(allowed.length);
    else expect(told.machine.reason).toMatch(/^[a-z-]+$/);
  });
});
