/** `/watch-enrollment`: which iPhones enroll the watches that pair with them, and how far each got. */
import { Hono } from 'hono';
import { parseAnchors } from '../../domain/admin/anchors.ts';
import type { AdminServices } from '../../domain/admin/services.ts';
import { EVERYONE } from '../../domain/declaration/groups.ts';
import { parseUdid } from '../../domain/ids.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { onlyPage } from './schemas/values.ts';
import { watchAssignment } from './schemas/watch-enrollment.ts';
import { watchEnrollmentGroupView, watchEnrollmentView } from './views.ts';

export function watchEnrollment({ watchEnrollment: assignments }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const list = assignments.list.bind(assignments);
    const page = await listPage(['watch-enrollment'], query.value, list, watchEnrollmentView);
    if (!page.ok) return refused(c, page.refusal);
    return c.json({ groups: (await assignments.groups()).map(watchEnrollmentGroupView), ...page.value });
  });

  app.put('/', (c) => assignGroup(c, EVERYONE));
  app.delete('/', (c) => withdrawGroup(c, EVERYONE));
  app.put('/groups/:name', (c) => assignGroup(c, c.req.param('name')));
  app.delete('/groups/:name', (c) => withdrawGroup(c, c.req.param('name')));

  const assignGroup = async (c: AdminContext, group: string) => {
    const body = await readJson(c, watchAssignment);
    if (!body.ok) return refused(c, body.refusal);
    const anchors = parseAnchors(body.value.anchors);
    if (!anchors.ok) return refused(c, anchors.refusal);
    const assigned = await assignments.assignGroup(group, anchors.value, c.get('nowMs'));
    if (!assigned.ok) return refused(c, assigned.refusal);
    return c.json({ ...watchEnrollmentGroupView(assigned.value.changed), waiting: assigned.value.waiting });
  };

  const withdrawGroup = async (c: AdminContext, group: string) =>
    c.json(await assignments.withdrawGroup(group, c.get('nowMs')));

  app.get('/devices/:udid', async (c) => {
    const phone = parseUdid(c.req.param('udid'));
    if (!phone.ok) return refused(c, phone.refusal);
    const status = await assignments.status(phone.value);
    return status.ok ? c.json(watchEnrollmentView(status.value)) : refused(c, status.refusal);
  });

  app.put('/devices/:udid', async (c) => {
    const phone = parseUdid(c.req.param('udid'));
    if (!phone.ok) return refused(c, phone.refusal);
    const body = await readJson(c, watchAssignment);
    if (!body.ok) return refused(c, body.refusal);
    const anchors = parseAnchors(body.value.anchors);
    if (!anchors.ok) return refused(c, anchors.refusal);
    const status = await assignments.assign(phone.value, anchors.value, c.get('nowMs'));
    return status.ok ? c.json(watchEnrollmentView(status.value)) : refused(c, status.refusal);
  });

  app.delete('/devices/:udid', async (c) => {
    const phone = parseUdid(c.req.param('udid'));
    if (!phone.ok) return refused(c, phone.refusal);
    const status = await assignments.withdraw(phone.value, c.get('nowMs'));
    return status.ok ? c.json(watchEnrollmentView(status.value)) : refused(c, status.refusal);
  });

  return app;
}
