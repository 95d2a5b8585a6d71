/**
 * `/commands`: one command for many devices, named or by their group. The answer has what became of each; who wants all
 * of it done says the same again, with the `commandUuid` of the answer, until nothing is `unavailable`.
 */
import { Hono } from 'hono';
import { type ManyOrdered, orderMany, type TargetOutcome } from '../../domain/admin/order-many.ts';
import type { AdminServices } from '../../domain/admin/services.ts';
import { orderScope, readManyOrder } from './command-order.ts';
import { encodeCursor } from './cursor.ts';
import type { AdminEnv } from './env.ts';
import { problemDocument } from './problem.ts';
import { refused, targetProblem } from './refusals.ts';
import { orderedView } from './views.ts';

export function manyCommands(services: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.post('/', async (c) => {
    const order = await readManyOrder(c, services.newUuid);
    if (!order.ok) return refused(c, order.refusal);
    const ordered = await orderMany(services, order.value, c.get('nowMs'));
    if (!ordered.ok) return refused(c, ordered.refusal);
    const { commandUuid, targets } = order.value;
    const { outcomes, cursor } = ordered.value;
    const scope = orderScope(targets.kind === 'group' ? targets.name : '');
    const counts = countsOf(outcomes);
    c.get('log').event('admin', { method: 'POST', path: c.req.path, count: counts.queued, status: 200 });
    return c.json({
      commandUuid,
      counts,
      items: outcomes.map(targetView),
      cursor: encodeCursor(scope, cursor),
    });
  });

  return app;
}

function targetView({ udid, commandUuid, outcome }: TargetOutcome) {
  if (outcome.ok) return { udid, ...orderedView(outcome.value) };
  return { udid, commandUuid, refusal: problemDocument(targetProblem(outcome.refusal)) };
}

function countsOf(outcomes: ManyOrdered['outcomes']) {
  const counts = { queued: 0, repeated: 0, refused: 0, unavailable: 0 };
  for (const { outcome } of outcomes) {
    if (outcome.ok) counts[outcome.value.created ? 'queued' : 'repeated'] += 1;
    else counts[outcome.refusal.kind === 'unavailable' ? 'unavailable' : 'refused'] += 1;
  }
  return counts;
}
