/** `/dry-run`: which devices a change would concern, and how, before anybody is told. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { proposedChange } from './schemas/dry-run.ts';
import { onlyPage } from './schemas/values.ts';

/** A declaration of 256 KiB, written out with indentation and escapes. */
const BODY_BYTES_MAX = 1024 * 1024;

export function dryRun({ dryRuns }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.post('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const body = await readJson(c, proposedChange, BODY_BYTES_MAX);
    if (!body.ok) return refused(c, body.refusal);
    const forecast = dryRuns.forecast.bind(dryRuns, body.value);
    const page = await listPage(['dry-run'], query.value, forecast, (item) => item);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  return app;
}
