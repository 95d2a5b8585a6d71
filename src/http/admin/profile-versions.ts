/** `/profiles/{identifier}/versions`: what a stored profile was, and making it that again. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import { PROFILE_CONTENT_TYPE } from '../../domain/declaration/profiles.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { readPrecondition } from './precondition.ts';
import { profileVersionView, profileView } from './profile-views.ts';
import { type RequestRefusal, refused } from './refusals.ts';
import { restoreQuery } from './schemas/profile.ts';
import { answerTagged } from './tagged.ts';

export function profileVersions({ profiles: library }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:identifier/versions', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const versions = await library.versions(identifier.value);
    if (!versions.ok) return refused(c, versions.refusal);
    return c.json({ items: versions.value.map(profileVersionView) });
  });

  app.get('/:identifier/versions/:version', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const { identifier, version } = place.value;
    const versions = await library.versions(identifier);
    if (!versions.ok) return refused(c, versions.refusal);
    const found = versions.value.find((one) => one.version === version);
    if (found === undefined) return refused(c, { kind: 'unknown-version', identifier, version });
    return c.json(profileVersionView(found));
  });

  app.get('/:identifier/versions/:version/content', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const content = await library.content(place.value.identifier, place.value.version);
    if (!content.ok) return refused(c, content.refusal);
    return c.body(content.value, 200, { 'Content-Type': PROFILE_CONTENT_TYPE });
  });

  app.post('/:identifier/versions/:version/restore', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const precondition = readPrecondition(c);
    if (!precondition.ok) return refused(c, precondition.refusal);
    if (precondition.value === null) return refused(c, { kind: 'precondition-required' });
    const query = readQuery(c, restoreQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { identifier, version } = place.value;
    const by = { author: c.get('admin').id, unpairsWatches: query.value.unpairsWatches === 'true' };
    const put = await library.restore(identifier, version, by, precondition.value, c.get('nowMs'));
    if (!put.ok) return refused(c, put.refusal);
    const { changed } = put.value;
    const answer = { ...profileView(changed), ...(await library.judge(identifier)) };
    return answerTagged(c, answer, changed.serverToken, put.value);
  });

  return app;
}

/** Fifteen digits are a safe integer. */
const VERSION = /^[1-9][0-9]{0,14}$/;

function parsePlace(names: {
  readonly identifier: string;
  readonly version: string;
}): Outcome<{ identifier: string; version: number }, RequestRefusal> {
  const identifier = parseDeclarationIdentifier(names.identifier);
  if (!identifier.ok) return identifier;
  if (!VERSION.test(names.version)) return refuse({ kind: 'malformed-identifier', field: 'version' });
  return ok({ identifier: identifier.value, version: Number(names.version) });
}
