/** `/devices/{udid}/policy`: what counts for a device, who says so, and whether it is in force. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseUdid } from '../../domain/ids.ts';
import type { AdminEnv } from './env.ts';
import { policyView } from './policy-views.ts';
import { refused } from './refusals.ts';

export function policy({ policies }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:udid/policy', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const nowMs = c.get('nowMs');
    const found = await policies.ofDevice(udid.value, nowMs);
    return found.ok ? c.json(policyView(found.value, nowMs)) : refused(c, found.refusal);
  });

  return app;
}
