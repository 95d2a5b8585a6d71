/** `/devices/{udid}/inventory`: what a device last answered about itself, and asking it again. */
import { Hono } from 'hono';
import * as v from 'valibot';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseUdid } from '../../domain/ids.ts';
import { REFRESHED_SECTIONS } from '../../domain/inventory/refresh.ts';
import { INVENTORY_SECTIONS } from '../../domain/inventory/section.ts';
import type { AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { inventorySectionView, inventoryView, unansweredView } from './pair-views.ts';
import { refused } from './refusals.ts';
import { inventorySection, refreshQuery } from './schemas/inventory.ts';

export function inventory({ inventory: inventories }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:udid/inventory', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const sections = await inventories.sections(udid.value);
    return sections.ok ? c.json(inventoryView(sections.value)) : refused(c, sections.refusal);
  });

  app.get('/:udid/inventory/:section', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const section = v.safeParse(inventorySection, c.req.param('section'));
    if (!section.success) return refused(c, { kind: 'no-such-resource', among: INVENTORY_SECTIONS });
    const found = await inventories.section(udid.value, section.output);
    if (!found.ok) return refused(c, found.refusal);
    return c.json(found.value === null ? unansweredView(section.output) : inventorySectionView(found.value));
  });

  app.post('/:udid/inventory/refresh', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const query = readQuery(c, refreshQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { section } = query.value;
    const sections = section === undefined ? REFRESHED_SECTIONS : [section];
    const refreshed = await inventories.refresh(udid.value, sections, c.get('nowMs'));
    return refreshed.ok ? c.json(refreshed.value, 202) : refused(c, refreshed.refusal);
  });

  return app;
}
