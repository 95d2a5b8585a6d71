/**
 * `/profiles`: uploaded configuration profiles, each behind a declaration of `com.apple.configuration.legacy`. The body
 * of a PUT is the .mobileconfig itself, or its description in JSON (profile-build.ts). The entity tag is the
 * declaration's server token. What they were before is in `profile-versions.ts`, which devices have them in
 * `profile-devices.ts`.
 */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import { PROFILE_CONTENT_TYPE } from '../../domain/declaration/profiles.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { readPrecondition } from './precondition.ts';
import { readProfileBody } from './profile-build.ts';
import { profileView } from './profile-views.ts';
import { refused } from './refusals.ts';
import { profileQuery, removalQuery } from './schemas/profile.ts';
import { onlyPage } from './schemas/values.ts';
import { answerTagged } from './tagged.ts';

export function profiles({ profiles: library, profileBuilder }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const page = await listPage(['profiles'], query.value, library.list.bind(library), profileView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.get('/:identifier', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const profile = await library.find(identifier.value);
    const verdict = await library.judge(identifier.value);
    if (profile === null || verdict === null) return unknownProfile(c, identifier.value);
    return answerTagged(c, { ...profileView(profile), ...verdict }, profile.serverToken);
  });

  app.get('/:identifier/content', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const content = await library.content(identifier.value, null);
    if (!content.ok) return refused(c, content.refusal);
    return c.body(content.value, 200, { 'Content-Type': PROFILE_CONTENT_TYPE });
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
    const { profile, described } = body.value;
    const [sign, author] = [query.value.sign === 'true', c.get('admin').id];
    const unpairsWatches = query.value.unpairsWatches === 'true';
    const input = { profile, allowUnknown, sign, unpairsWatches, author };
    const put = await library.put(identifier, input, precondition.value, c.get('nowMs'));
    if (!put.ok) return refused(c, put.refusal);
    const { changed } = put.value;
    // Whoever described it is told in the words of the description.
    const answer = { ...profileView(changed), ...(await library.judge(identifier)), ...described };
    return answerTagged(c, answer, changed.serverToken, put.value);
  });

  app.delete('/:identifier', async (c) => {
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    const query = readQuery(c, removalQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { force } = query.value;
    const identifier = c.req.param('identifier');
    const removed = await library.remove(identifier, precondition.value, force === 'true');
    if (!removed.ok) return refused(c, removed.refusal);
    const { left } = removed.value;
    return left === 0 ? c.body(null, 204) : c.json({ left: { devices: left } });
  });

  return app;
}

export function unknownProfile(c: AdminContext, identifier: string): Response {
  return refused(c, { kind: 'unknown-upload', resource: 'profiles', identifier });
}
