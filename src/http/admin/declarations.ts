/**
 * `/declarations`: what devices can be given. A declaration's entity tag is its server token, so it changes exactly
 * when what devices are told changes; a PUT names the tag it is based on, or that there is none yet.
 */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import type { AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { entityTag, isHeld, readPrecondition } from './precondition.ts';
import { refused } from './refusals.ts';
import { declarationQuery, newDeclaration } from './schemas/declaration.ts';
import { answerTagged } from './tagged.ts';
import { declarationSummaryView, declarationView } from './views.ts';

/** A payload of 256 KiB, written out with indentation and escapes, and the members around it. */
const BODY_BYTES_MAX = 1024 * 1024;

export function declarations({ declarations: library }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, declarationQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { kind, type } = query.value;
    const filter = { kind: kind ?? null, type: type ?? null };
    const list = library.list.bind(library, filter);
    const page = await listPage(['declarations', kind, type], query.value, list, declarationSummaryView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:identifier', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const declaration = await library.find(identifier.value);
    if (declaration === null)
      return refused(c, { kind: 'unknown-declaration', identifier: identifier.value });
    const { serverToken } = declaration;
    if (isHeld(c, entityTag(serverToken))) return c.body(null, 304, { ETag: entityTag(serverToken) });
    return answerTagged(c, declarationView(declaration), serverToken);
  });

  app.put('/:identifier', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    if (precondition.value === null) return refused(c, { kind: 'precondition-required' });
    const body = await readJson(c, newDeclaration, BODY_BYTES_MAX);
    if (!body.ok) return refused(c, body.refusal);
    const identifier = c.req.param('identifier');
    const put = await library.put(identifier, body.value, precondition.value, c.get('nowMs'));
    if (!put.ok) return refused(c, put.refusal);
    const { changed } = put.value;
    return answerTagged(c, declarationView(changed), changed.serverToken, put.value);
  });

  app.delete('/:identifier', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    const removed = await library.remove(c.req.param('identifier'), precondition.value);
    return removed.ok ? c.body(null, 204) : refused(c, removed.refusal);
  });

  app.post('/:identifier/touch', async (c) => {
    const touched = await library.touch(c.req.param('identifier'), c.get('nowMs'));
    if (!touched.ok) return refused(c, touched.refusal);
    const { changed } = touched.value;
    return answerTagged(c, declarationView(changed), changed.serverToken, touched.value);
  });

  return app;
}
