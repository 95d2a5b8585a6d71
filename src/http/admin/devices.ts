/** `/devices`: the fleet, one device, the declarations it is to hold, and what it reports of itself. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseUdid } from '../../domain/ids.ts';
import type { AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { deviceQuery, statusAsked } from './schemas/device.ts';
import { statusItemView, statusReportView } from './status-views.ts';
import { deviceManifestView, deviceView } from './views.ts';

export function devices({ devices: directory, sets, status }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, await deviceQuery());
    if (!query.ok) return refused(c, query.refusal);
    const { platform, state, serial } = query.value;
    const asked = statusAsked(query.value);
    const filter = {
      platform: platform ?? null,
      state: state ?? null,
      serial: serial ?? null,
      status: asked,
    };
    const scope = ['devices', platform, state, serial, ...Object.entries(asked).flat()];
    const page = await listPage(scope, query.value, (at) => directory.list(filter, at), deviceView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:udid', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const device = await directory.find(udid.value);
    if (device === null) return refused(c, { kind: 'unknown-device', udid: udid.value });
    return c.json(deviceView(device));
  });

  app.get('/:udid/declarations', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const declarations = await sets.ofDevice(udid.value);
    if (!declarations.ok) return refused(c, declarations.refusal);
    return c.json(deviceManifestView(declarations.value));
  });

  app.get('/:udid/status', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const items = await status.items(udid.value);
    return items.ok ? c.json({ items: items.value.map(statusItemView) }) : refused(c, items.refusal);
  });

  app.get('/:udid/status/reports', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const reports = await status.reports(udid.value);
    return reports.ok ? c.json({ items: reports.value.map(statusReportView) }) : refused(c, reports.refusal);
  });

  return app;
}
