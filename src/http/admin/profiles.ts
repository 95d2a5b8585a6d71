/**
 * `/profiles`: uploaded configuration profiles, each behind a declaration of `com.apple.configuration.legacy`. The body
 * of a PUT is the .mobileconfig itself, or its description in JSON (profile-build.ts). The entity tag is the
 * declaration's server token.
 */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { ProfileRecord } from '../../domain/admin/upload-services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import { PROFILE_CONTENT_TYPE } from '../../domain/declaration/uploads.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { readPrecondition } from './precondition.ts';
import { readProfileBody } from './profile-build.ts';
import { refused } from './refusals.ts';
import { profileQuery } from './schemas/asset.ts';
import { onlyPage } from './schemas/values.ts';
import { answerTagged } from './tagged.ts';
import { timestamp } from './views.ts';

export function profiles({ profiles: library, profileBuilder }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const page = await listPage(['profiles'], query.value, library.list, profileView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:identifier', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const profile = await library.find(identifier.value);
    return profile === null
      ? unknown(c, identifier.value)
      : answerTagged(c, profileView(profile), profile.serverToken);
  });

  app.get('/:identifier/content', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const content = await library.content(identifier.value);
    if (content === null) return unknown(c, identifier.value);
    return c.body(content, 200, { 'Content-Type': PROFILE_CONTENT_TYPE });
  });

  app.put('/:identifier', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    if (precondition.value === null) return refused(c, { kind: 'precondition-required' });
    const query = readQuery(c, profileQuery);
    if (!query.ok) return refused(c, query.refusal);
    const identifier = c.req.param('identifier');
    const allowUnknown = query.value.allowUnknown === 'true';
    const body = await readProfileBody(c, profileBuilder, { identifier, allowUnknown });
    if (!body.ok) return refused(c, body.refusal);
    const { profile, built } = body.value;
    const put = await library.put(identifier, { profile, allowUnknown }, precondition.value, c.get('nowMs'));
    if (!put.ok) return refused(c, put.refusal);
    const { changed } = put.value;
    return answerTagged(c, { ...profileView(changed), built }, changed.serverToken, put.value);
  });

  app.delete('/:identifier', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    const removed = await library.remove(c.req.param('identifier'), precondition.value);
    return removed.ok ? c.body(null, 204) : refused(c, removed.refusal);
  });

  return app;
}

function unknown(c: AdminContext, identifier: string): Response {
  return refused(c, { kind: 'unknown-upload', resource: 'profiles', identifier });
}

function profileView({ updatedAtMs, ...profile }: ProfileRecord) {
  return { ...profile, updatedAt: timestamp(updatedAtMs) };
}
