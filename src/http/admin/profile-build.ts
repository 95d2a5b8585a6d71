/**
 * Profiles described in JSON: `POST /profiles/build` shows what one would become and stores nothing; a PUT to
 * `/profiles/{identifier}` (profiles.ts) stores it as an upload. A built profile holds the secrets that were sent, so
 * it is shown only to whom asks for the profile itself.
 */
import { Hono } from 'hono';
import type { ProfileBuilder } from '../../domain/admin/profile-build-services.ts';
import type { AdminServices } from '../../domain/admin/services.ts';
import type { ProfileInput } from '../../domain/admin/upload-services.ts';
import { PROFILE_CONTENT_TYPE } from '../../domain/declaration/uploads.ts';
import type { BuiltProfile } from '../../domain/profile/draft.ts';
import type { Finding } from '../../domain/profile/findings.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { type AdminRefusal, refused } from './refusals.ts';
import { profileQuery } from './schemas/asset.ts';
import { newProfile, profileToBuild } from './schemas/profile-build.ts';

/** A profile of 1 MiB: what is data in it is half again as large in base64 with escapes. */
const BODY_BYTES_MAX = 2 * 1024 * 1024;

export interface BuiltInput extends ProfileInput {
  readonly warnings: readonly Finding[];
}

export function profileBuilds({ profileBuilder: builder }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.post('/build', async (c) => {
    const query = readQuery(c, profileQuery);
    if (!query.ok) return refused(c, query.refusal);
    const body = await readJson(c, profileToBuild, BODY_BYTES_MAX);
    if (!body.ok) return refused(c, body.refusal);
    const { identifier, ...draft } = body.value;
    const allowUnknown = query.value.allowUnknown === 'true';
    const built = await builder.build(identifier, draft, allowUnknown, c.get('nowMs'));
    if (!built.ok) return refused(c, built.refusal);
    return wantsProfile(c)
      ? c.body(built.value.profile, 200, { 'Content-Type': PROFILE_CONTENT_TYPE })
      : c.json(view(built.value));
  });

  return app;
}

export function isDescription(c: AdminContext): boolean {
  return /^application\/json *(;|$)/i.test(c.req.header('Content-Type') ?? '');
}

/** The body of a PUT as the upload that it stands for. */
export async function readDescription(
  c: AdminContext,
  builder: ProfileBuilder,
  identifier: string,
  allowUnknown: boolean,
): Promise<Outcome<BuiltInput, AdminRefusal>> {
  const body = await readJson(c, newProfile, BODY_BYTES_MAX);
  if (!body.ok) return body;
  const built = await builder.build(identifier, body.value, allowUnknown, c.get('nowMs'));
  if (!built.ok) return built;
  const { profile, warnings } = built.value;
  return ok({ profile, allowUnknown, warnings });
}

function wantsProfile(c: AdminContext): boolean {
  return (c.req.header('Accept') ?? '').toLowerCase().includes(PROFILE_CONTENT_TYPE);
}

function view({ profile, ...built }: BuiltProfile) {
  return { ...built, size: profile.length };
}
