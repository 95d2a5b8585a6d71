/** A refresh against a queue that takes some of it: who is woken, and how often. */
import { expect, it } from 'vitest';
import type { Enqueued, NewCommand } from '../../../src/domain/admin/command-services.ts';
import type { Devices } from '../../../src/domain/enrollment/device.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { REFRESHED_SECTIONS } from '../../../src/domain/inventory/refresh.ts';
import { requestOf } from '../../../src/domain/inventory/section.ts';
import { Inventories } from '../../../src/domain/inventory/service.ts';
import { ok, refuse, Unavailable } from '../../../src/std/outcome.ts';
import { epochMs } from '../../../src/std/time.ts';

const WATCH = 'WATCH-0000000001' as Udid;
const DESCRIPTION = { state: 'enrolled', enrollmentId: 'E', platform: 'watchOS' };

/** What became of a refresh, and what happened in which order, when the queue takes all but these. */
async function refreshed(refused: readonly string[], { isUp = true } = {}) {
  const happened: string[] = [];
  const device = { flush: async () => undefined, describe: async () => DESCRIPTION };
  const inventories = new Inventories({
    store: { sections: async () => [], section: async () => null, asked: async () => [] },
    devices: { of: () => device } as unknown as Devices,
    admission: { judge: async () => ok({}) } as never,
    commands: {
      enqueue: async ({ requestType, commandUuid, push }: NewCommand) => {
        if (refused.includes(requestType)) return refuse({ kind: 'queue-full', pendingMax: 1 });
        happened.push(push ? `${requestType} with a push` : requestType);
        return ok({ command: { commandUuid, answeredAtMs: null }, created: true } as unknown as Enqueued);
      },
    },
    waker: {
      wake: async (udid) => {
        if (!isUp) throw new Unavailable('push', 'none');
        happened.push(`wake ${udid}`);
      },
    },
    isKnown: async () => true,
  });
  const result = await inventories.refresh(WATCH, REFRESHED_SECTIONS, epochMs(1));
  return { happened, queued: result.ok ? result.value.queued.length : null };
}

it('wakes the device once, when all is queued, though the queue refuses the last', async () => {
  const all = await refreshed([]);
  expect(all.happened).toHaveLength(REFRESHED_SECTIONS.length + 1);
  expect(all.happened.at(-1)).toBe(`wake ${WATCH}`);
  const { happened, queued } = await refreshed(['Restrictions']);
  expect(queued).toBe(REFRESHED_SECTIONS.length - 1);
  expect(happened.at(-1)).toBe(`wake ${WATCH}`);
  expect(happened.filter((what) => what.includes('push'))).toEqual([]);
});

it('wakes nobody for nothing, and fails for no push', async () => {
  expect(await refreshed(REFRESHED_SECTIONS.map(requestOf))).toEqual({ happened: [], queued: 0 });
  expect(await refreshed([], { isUp: false })).toMatchObject({ queued: REFRESHED_SECTIONS.length });
});
