/** `/sets`: declarations that go together, and the devices and groups that are to hold them. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseUdid } from '../../domain/ids.ts';
import type { AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { newSet, setGroup } from './schemas/declaration.ts';
import { onlyPage } from './schemas/values.ts';
import { setDeviceView, setView } from './views.ts';

export function sets({ sets: all }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const page = await listPage(['sets'], query.value, all.list.bind(all), setView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:name', async (c) => {
    const { name } = c.req.param();
    const set = await all.find(name);
    return set === null ? refused(c, { kind: 'unknown-set', name }) : c.json(setView(set));
  });

  app.put('/:name', async (c) => {
    const body = await readJson(c, newSet);
    if (!body.ok) return refused(c, body.refusal);
    const put = await all.put(c.req.param('name'), body.value.declarations, c.get('nowMs'));
    if (!put.ok) return refused(c, put.refusal);
    const { changed, created, waiting } = put.value;
    return c.json({ ...setView(changed), waiting }, created ? 201 : 200);
  });

  app.delete('/:name', async (c) => {
    const removed = await all.remove(c.req.param('name'));
    return removed.ok ? c.body(null, 204) : refused(c, removed.refusal);
  });

  app.get('/:name/devices', async (c) => {
    const { name } = c.req.param();
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const list = all.devices.bind(all, name);
    const page = await listPage(['set-devices', name], query.value, list, setDeviceView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.put('/:name/devices/:udid', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const assigned = await all.assign(c.req.param('name'), udid.value, c.get('nowMs'));
    return assigned.ok ? c.body(null, 204) : refused(c, assigned.refusal);
  });

  app.delete('/:name/devices/:udid', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const unassigned = await all.unassign(c.req.param('name'), udid.value, c.get('nowMs'));
    return unassigned.ok ? c.body(null, 204) : refused(c, unassigned.refusal);
  });

  app.put('/:name/groups/:group', async (c) => {
    const body = await readJson(c, setGroup);
    if (!body.ok) return refused(c, body.refusal);
    const assignment = { group: c.req.param('group'), percent: body.value.percent };
    const assigned = await all.assignGroup(c.req.param('name'), assignment, c.get('nowMs'));
    if (!assigned.ok) return refused(c, assigned.refusal);
    return c.json({ ...assigned.value.changed, waiting: assigned.value.waiting });
  });

  app.delete('/:name/groups/:group', async (c) => {
    const { name, group } = c.req.param();
    const unassigned = await all.unassignGroup(name, group, c.get('nowMs'));
    return unassigned.ok ? c.json(unassigned.value) : refused(c, unassigned.refusal);
  });

  return app;
}
