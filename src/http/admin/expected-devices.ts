/** `/expected-devices`: serial numbers whose iPhones may take a profile at `/enroll/phone`. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseSerialNumber } from '../../domain/ids.ts';
import type { AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { newExpectedDevices } from './schemas/expected-device.ts';
import { onlyPage } from './schemas/values.ts';
import { expectedDeviceView } from './views.ts';

export function expectedDevices({ expectedDevices: expected }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const list = expected.list.bind(expected);
    const page = await listPage(['expected-devices'], query.value, list, expectedDeviceView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.post('/', async (c) => {
    const body = await readJson(c, newExpectedDevices);
    if (!body.ok) return refused(c, body.refusal);
    const { added, renewed } = await expected.add(body.value.serials, c.get('nowMs'));
    return c.json({ added, renewed });
  });

  app.delete('/:serial', async (c) => {
    const serial = parseSerialNumber(c.req.param('serial'));
    if (!serial.ok) return refused(c, serial.refusal);
    const removed = await expected.remove(serial.value);
    return removed ? c.body(null, 204) : refused(c, { kind: 'serial-not-listed' });
  });

  return app;
}
