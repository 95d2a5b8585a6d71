/** `/deployments`: one deployment with its timeline, taken back or tried again; and `/devices/{udid}/apps` of a watch. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseUdid } from '../../domain/ids.ts';
import { deploymentView, deploymentWithTimelineView, managedView } from './app-views.ts';
import type { AdminEnv } from './env.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { newDeployment } from './schemas/app.ts';
import { onlyPage } from './schemas/values.ts';

export function deployments({ deployments: all }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:deployment', async (c) => {
    const found = await all.find(c.req.param('deployment'));
    if (found === null) return refused(c, { kind: 'unknown-deployment' });
    return c.json(deploymentWithTimelineView(found));
  });

  app.post('/:deployment/cancel', async (c) => {
    const canceled = await all.cancel(c.req.param('deployment'), c.get('nowMs'));
    return canceled.ok ? c.json(deploymentWithTimelineView(canceled.value)) : refused(c, canceled.refusal);
  });

  app.post('/:deployment/retry', async (c) => {
    const retried = await all.retry(c.req.param('deployment'), c.get('nowMs'));
    return retried.ok ? c.json(deploymentWithTimelineView(retried.value)) : refused(c, retried.refusal);
  });

  return app;
}

export function deviceApps({ deployments: all }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:udid/apps', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const list = all.ofWatch.bind(all, udid.value);
    const page = await listPage(['device-apps', udid.value], query.value, list, deploymentView);
    if (!page.ok) return refused(c, page.refusal);
    return c.json({ ...page.value, managed: managedView(await all.managed(udid.value)) });
  });

  app.post('/:udid/apps', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const body = await readJson(c, newDeployment);
    if (!body.ok) return refused(c, body.refusal);
    const key = idempotencyKey(c);
    if (!key.ok) return refused(c, key.refusal);
    const order = { ...body.value, admin: c.get('admin'), idempotencyKey: key.value };
    const deployed = await all.deploy(udid.value, order, c.get('nowMs'));
    if (!deployed.ok) return refused(c, deployed.refusal);
    c.header('Location', `/api/v1/deployments/${deployed.value.deploymentId}`);
    return c.json(deploymentWithTimelineView(deployed.value), 201);
  });

  return app;
}
