/** `/apps`: apps by the bundle identifier of their watch app, their packages, and their deployments. */
import { Hono } from 'hono';
import { PACKAGE_BYTES_MAX, PACKAGE_PART_BYTES } from '../../domain/admin/app-services.ts';
import type { AdminServices } from '../../domain/admin/services.ts';
import { bodyParts } from '../body.ts';
import { appView, countsView, deploymentView, deployRefusalView } from './app-views.ts';
import type { AdminEnv } from './env.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { entityTag, readPrecondition } from './precondition.ts';
import { refused } from './refusals.ts';
import { appInput, newApp, newDeployments, packageQuery } from './schemas/app.ts';
import { onlyPage } from './schemas/values.ts';

export function apps({ apps: library, appPackages, deployments }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const page = await listPage(['apps'], query.value, (at) => library.list(at), appView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:app', async (c) => {
    const id = c.req.param('app');
    const found = await library.find(id);
    if (found === null) return refused(c, { kind: 'unknown-app', app: id });
    c.header('ETag', entityTag(found.version));
    return c.json({ ...appView(found), deployments: countsView(await deployments.counts(id)) });
  });

  app.put('/:app', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    if (precondition.value === null) return refused(c, { kind: 'precondition-required' });
    const body = await readJson(c, newApp);
    if (!body.ok) return refused(c, body.refusal);
    const put = await library.put(
      c.req.param('app'),
      appInput(body.value),
      precondition.value,
      c.get('nowMs'),
    );
    if (!put.ok) return refused(c, put.refusal);
    c.header('ETag', entityTag(put.value.app.version));
    return c.json(appView(put.value.app), put.value.created ? 201 : 200);
  });

  app.delete('/:app', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    const removed = await library.remove(c.req.param('app'), precondition.value, c.get('nowMs'));
    return removed.ok ? c.body(null, 204) : refused(c, removed.refusal);
  });

  app.get('/:app/configuration', async (c) => {
    const found = await library.configuration(c.req.param('app'));
    return found.ok ? c.json(found.value) : refused(c, found.refusal);
  });

  app.put('/:app/package', async (c) => {
    const query = readQuery(c, packageQuery);
    if (!query.ok) return refused(c, query.refusal);
    const limits = { partBytes: PACKAGE_PART_BYTES, bodyBytesMax: PACKAGE_BYTES_MAX };
    const upload = { ...query.value, parts: bodyParts(c.req.raw, limits) };
    const stored = await appPackages.upload(c.req.param('app'), upload, c.get('nowMs'));
    if (!stored.ok) return refused(c, stored.refusal);
    c.header('ETag', entityTag(stored.value.version));
    return c.json(appView(stored.value));
  });

  app.get('/:app/deployments', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const id = c.req.param('app');
    const list = deployments.ofApp.bind(deployments, id);
    const page = await listPage(['app-deployments', id], query.value, list, deploymentView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.post('/:app/deployments', async (c) => {
    const body = await readJson(c, newDeployments);
    if (!body.ok) return refused(c, body.refusal);
    const key = idempotencyKey(c);
    if (!key.ok) return refused(c, key.refusal);
    const { action, ...to } = body.value;
    const order = { app: c.req.param('app'), action, admin: c.get('admin'), idempotencyKey: key.value };
    const deployed = await deployments.deployMany(to, order, c.get('nowMs'));
    if (!deployed.ok) return refused(c, deployed.refusal);
    const items = deployed.value.map(({ watch, outcome }) => ({
      udid: watch,
      ...(outcome.ok ? outcome.value : deployRefusalView(outcome.refusal)),
    }));
    const begun = deployed.value.filter(({ outcome }) => outcome.ok).length;
    return c.json({ begun, refused: items.length - begun, items }, 202);
  });

  return app;
}
