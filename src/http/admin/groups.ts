/** `/groups`: devices that are assigned the same. `everyone` has all of them. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { groupChange } from './schemas/group.ts';
import { onlyPage } from './schemas/values.ts';
import { groupView } from './views.ts';

export function groups({ groups: all }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const page = await listPage(['groups'], query.value, all.list.bind(all), groupView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:name', async (c) => {
    const { name } = c.req.param();
    const group = await all.find(name);
    return group === null ? refused(c, { kind: 'unknown-group', name }) : c.json(groupView(group));
  });

  app.put('/:name', async (c) => {
    const put = await all.create(c.req.param('name'), c.get('nowMs'));
    return put.ok
      ? c.json(groupView(put.value.group), put.value.created ? 201 : 200)
      : refused(c, put.refusal);
  });

  app.delete('/:name', async (c) => {
    const removed = await all.remove(c.req.param('name'));
    return removed.ok ? c.body(null, 204) : refused(c, removed.refusal);
  });

  app.get('/:name/devices', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const { name } = c.req.param();
    const list = all.members.bind(all, name);
    const page = await listPage(['groups', name], query.value, list, (udid) => ({ udid }));
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.post('/:name/devices', async (c) => {
    const body = await readJson(c, groupChange);
    if (!body.ok) return refused(c, body.refusal);
    const changed = await all.change(c.req.param('name'), body.value, c.get('nowMs'));
    if (!changed.ok) return refused(c, changed.refusal);
    return c.json({ ...groupView(changed.value.changed), waiting: changed.value.waiting });
  });

  return app;
}
