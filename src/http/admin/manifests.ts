/** `/manifests`: whether changes are still on their way to devices. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { AdminEnv } from './env.ts';
import { timestamp } from './views.ts';

export function manifests({ sets }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const { devices, sinceMs } = await sets.waiting();
    return c.json({ waiting: devices, since: sinceMs === null ? null : timestamp(sinceMs) });
  });

  return app;
}
