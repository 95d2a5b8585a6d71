/** `/devices/{udid}/pair` and `/enrollments`: an iPhone and its watch as one, and what became of either before. */
import { Hono } from 'hono';
import { describePair } from '../../domain/admin/pair.ts';
import type { AdminServices, PageQuery } from '../../domain/admin/services.ts';
import { parseUdid } from '../../domain/ids.ts';
import type { AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { enrollmentView, pairView } from './pair-views.ts';
import { refused } from './refusals.ts';
import { onlyPage } from './schemas/values.ts';

export function pair(services: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:udid/pair', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const described = await describePair(services, udid.value);
    return described.ok ? c.json(pairView(described.value)) : refused(c, described.refusal);
  });

  app.get('/:udid/enrollments', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const device = await services.devices.find(udid.value);
    if (device === null) return refused(c, { kind: 'unknown-device', udid: udid.value });
    const list = (asked: PageQuery) => services.enrollments.list(udid.value, asked);
    const page = await listPage(['enrollments', udid.value], query.value, list, enrollmentView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  return app;
}
