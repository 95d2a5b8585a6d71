/** `/pairings`: every attempt of a watch to enroll, with its timeline. Read only. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { PAIRING_ID, pairingQuery } from './schemas/pairing.ts';
import { pairingView } from './views.ts';

export function pairings({ pairings: reader }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, pairingQuery);
    if (!query.ok) return refused(c, query.refusal);
    const watch = query.value.watch ?? null;
    const scope = ['pairings', watch ?? undefined];
    const page = await listPage(scope, query.value, (at) => reader.list({ ...at, watch }), pairingView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:pairingId', async (c) => {
    const pairingId = c.req.param('pairingId');
    const pairing = PAIRING_ID.test(pairingId) ? await reader.get(pairingId) : null;
    if (pairing === null) return refused(c, { kind: 'unknown-pairing' });
    return c.json(pairingView(pairing));
  });

  return app;
}
