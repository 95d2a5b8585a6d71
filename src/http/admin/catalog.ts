/**
 * `/catalog`: what can be declared, ordered, installed and reported, on which platform and since when. A kind has
 * at most some fifty types, so a listing is whole. The entity tag is the catalog's version: it changes with the
 * server's code only.
 */
import { Hono, type MiddlewareHandler } from 'hono';
import {
  catalogCounts,
  catalogSchemas,
  catalogVersion,
  findEntry,
  isCatalogKind,
  listEntries,
} from '../../protocol/catalog/catalog.ts';
import type { CatalogEntry } from '../../protocol/catalog/entry.ts';
import { ACCESS_RIGHTS } from '../../protocol/mdm/access-rights.ts';
import type { AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { isHeld } from './precondition.ts';
import { refused } from './refusals.ts';
import { catalogQuery } from './schemas/catalog.ts';

const tag = `"${catalogVersion}"`;

export function catalog(): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();
  app.use(tagged);

  app.get('/', (c) =>
    c.json({
      version: catalogVersion,
      schemas: catalogSchemas,
      accessRights: ACCESS_RIGHTS,
      kinds: Object.entries(catalogCounts).map(([kind, types]) => ({ kind, types })),
    }),
  );

  app.get('/:kind', async (c) => {
    const kind = c.req.param('kind');
    if (!isCatalogKind(kind)) return refused(c, { kind: 'no-such-resource' });
    const query = readQuery(c, catalogQuery);
    if (!query.ok) return refused(c, query.refusal);
    const entries = await listEntries(kind, query.value.platform);
    return c.json({ items: entries.map(summary) });
  });

  app.get('/:kind/:type', async (c) => {
    const { kind, type } = c.req.param();
    const entry = isCatalogKind(kind) ? await findEntry(kind, type) : null;
    return entry === null ? refused(c, { kind: 'no-such-resource' }) : c.json(entry);
  });

  return app;
}

const tagged: MiddlewareHandler<AdminEnv> = async (c, next) => {
  await next();
  if (c.res.status !== 200) return;
  if (isHeld(c, tag)) c.res = c.body(null, 304);
  c.header('ETag', tag);
};

function summary({ kind, type, platforms, schema, apply }: CatalogEntry) {
  return { kind, type, platforms, schema, ...(apply === undefined ? {} : { apply }) };
}
