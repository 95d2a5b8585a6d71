/** `/watch-enrollment/devices/{udid}`: which iPhones enroll the watches that pair with them. */
import { Hono } from 'hono';
import { parseAnchors } from '../../domain/admin/anchors.ts';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseUdid } from '../../domain/ids.ts';
import type { AdminEnv } from './env.ts';
import { readJson } from './input.ts';
import { refused } from './refusals.ts';
import { watchAssignment } from './schemas/watch-enrollment.ts';
import { watchEnrollmentView } from './views.ts';

export function watchEnrollment({ watchEnrollment: assignments }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

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
