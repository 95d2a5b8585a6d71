/** `/devices/{udid}/properties` and `/subscriptions/{platform}`: settings that reach devices as declarations. */
import { Hono } from 'hono';
import * as v from 'valibot';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { DeviceProperties } from '../../domain/declaration/properties.ts';
import { parseUdid } from '../../domain/ids.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readJson } from './input.ts';
import { refused } from './refusals.ts';
import { deviceProperties as propertiesBody, subscriptionItems } from './schemas/settings.ts';
import { platform as platformName } from './schemas/values.ts';

export function deviceProperties({ settings }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:udid/properties', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const found = await settings.properties(udid.value);
    return found.ok ? c.json(view(found.value)) : refused(c, found.refusal);
  });

  app.put('/:udid/properties', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const body = await readJson(c, propertiesBody);
    if (!body.ok) return refused(c, body.refusal);
    const { name, properties: values } = body.value;
    const put = await settings.putProperties(udid.value, { name, values }, c.get('nowMs'));
    return put.ok ? c.json(view(put.value)) : refused(c, put.refusal);
  });

  return app;
}

export function subscriptions({ settings }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:platform', async (c) => {
    const platform = v.safeParse(platformName, c.req.param('platform'));
    if (!platform.success) return refused(c, { kind: 'no-such-resource' });
    return c.json(await settings.subscriptions(platform.output));
  });

  app.put('/:platform', async (c) => {
    const body = await readJson(c, subscriptionItems);
    return body.ok ? put(c, c.req.param('platform'), body.value.items) : refused(c, body.refusal);
  });

  app.delete('/:platform', (c) => put(c, c.req.param('platform'), null));

  const put = async (c: AdminContext, name: string, items: readonly string[] | null) => {
    const platform = v.safeParse(platformName, name);
    if (!platform.success) return refused(c, { kind: 'no-such-resource' });
    const changed = await settings.putSubscriptions(platform.output, items, c.get('nowMs'));
    if (!changed.ok) return refused(c, changed.refusal);
    return c.json({ ...changed.value.changed, waiting: changed.value.waiting });
  };

  return app;
}

function view({ name, values }: DeviceProperties) {
  return { name, properties: values };
}
