/**
 * `/assets`: uploaded certificates, identities, credentials and data. An answer tells what is there and never what is
 * in it. The entity tag is the server token of the declaration that the upload makes.
 */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { AssetRecord } from '../../domain/admin/upload-services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import type { AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { readPrecondition } from './precondition.ts';
import { refused } from './refusals.ts';
import { newAsset } from './schemas/asset.ts';
import { onlyPage } from './schemas/values.ts';
import { answerTagged } from './tagged.ts';
import { timestamp } from './views.ts';

/** 1 MiB in base64 is 1.4 million characters; the rest is for escapes and the members around it. */
const BODY_BYTES_MAX = 2 * 1024 * 1024;

export function assets({ assets: library }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const page = await listPage(['assets'], query.value, library.list, assetView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:identifier', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const asset = await library.find(identifier.value);
    return asset === null
      ? refused(c, { kind: 'unknown-upload', resource: 'assets', identifier: identifier.value })
      : answerTagged(c, assetView(asset), asset.serverToken);
  });

  app.put('/:identifier', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    if (precondition.value === null) return refused(c, { kind: 'precondition-required' });
    const body = await readJson(c, newAsset, BODY_BYTES_MAX);
    if (!body.ok) return refused(c, body.refusal);
    const identifier = c.req.param('identifier');
    const put = await library.put(identifier, body.value, precondition.value, c.get('nowMs'));
    if (!put.ok) return refused(c, put.refusal);
    const { changed } = put.value;
    return answerTagged(c, assetView(changed), changed.serverToken, put.value);
  });

  app.delete('/:identifier', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    const removed = await library.remove(c.req.param('identifier'), precondition.value);
    return removed.ok ? c.body(null, 204) : refused(c, removed.refusal);
  });

  return app;
}

function assetView(asset: AssetRecord) {
  const { identifier, type, contentType, size, accessible, serverToken, updatedAtMs } = asset;
  const updatedAt = timestamp(updatedAtMs);
  return { identifier, type, contentType, size, accessible, serverToken, updatedAt };
}
