/** `/enrollment-links`: one-time profiles for named iPhones. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { AdminEnv } from './env.ts';
import { readJson } from './input.ts';
import { refused } from './refusals.ts';
import { newEnrollmentLink } from './schemas/enrollment-link.ts';
import { timestamp } from './views.ts';

export function enrollmentLinks({ enrollmentLinks: links, publicUrl }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.post('/', async (c) => {
    const body = await readJson(c, newEnrollmentLink);
    if (!body.ok) return refused(c, body.refusal);
    const { ttlSeconds, platform, ...named } = body.value;
    if (platform === 'watchOS') return refused(c, { kind: 'watch-enrolls-by-pairing' });
    const link = await links.create({ ...named, platform }, ttlSeconds, c.get('nowMs'));
    const url = `${publicUrl}/enroll/link/${link.code}`;
    return c.json({ url, code: link.code, expiresAt: timestamp(link.expiresAtMs) }, 201);
  });

  return app;
}
