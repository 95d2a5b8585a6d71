/**
 * Profiles described in JSON: `POST /profiles/build` shows what one would become and stores nothing; a PUT to
 * `/profiles/{identifier}` (profiles.ts) stores it as an upload. A built profile holds the secrets that were sent, so
 * it is shown only to whom asks for the profile itself.
 */
import { Hono } from 'hono';
import type { ProfileBuilder } from '../../domain/admin/profile-build-services.ts';
import type { AdminServices } from '../../domain/admin/services.ts';
import { UPLOAD_BYTES_MAX } from '../../domain/declaration/asset-content.ts';
import { PROFILE_CONTENT_TYPE } from '../../domain/declaration/profiles.ts';
import type { BuiltProfile } from '../../domain/profile/draft.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { readBody } from '../body.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { type AdminRefusal, refused } from './refusals.ts';
import { profileQuery } from './schemas/profile.ts';
import { newProfile, profileToBuild } from './schemas/profile-build.ts';

/** A profile of 1 MiB: what is data in it is half again as large in base64 with escapes. */
const BODY_BYTES_MAX = 2 * 1024 * 1024;
const PROFILE_TYPES = /^application\/(x-apple-aspen-config|xml) *(;|$)/i;
const JSON_TYPE = /^application\/json *(;|$)/i;

export interface ProfileBody {
  readonly profile: Bytes;
  /** Of a description: the warnings are those of the profile, and what its rules add. */
  readonly described?: Pick<BuiltProfile, 'payloads' | 'warnings'>;
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

/** The body of a PUT: the profile itself, or its description as the profile that it stands for. */
export async function readProfileBody(
  c: AdminContext,
  builder: ProfileBuilder,
  { identifier, allowUnknown }: { readonly identifier: string; readonly allowUnknown: boolean },
): Promise<Outcome<ProfileBody, AdminRefusal>> {
  const contentType = c.req.header('Content-Type') ?? '';
  if (PROFILE_TYPES.test(contentType)) {
    const body = await readBody(c.req.raw, UPLOAD_BYTES_MAX);
    return body.ok ? ok({ profile: body.value }) : body;
  }
  if (!JSON_TYPE.test(contentType)) return refuse({ kind: 'not-a-profile' });
  const body = await readJson(c, newProfile, BODY_BYTES_MAX);
  if (!body.ok) return body;
  const outcome = await builder.build(identifier, body.value, allowUnknown, c.get('nowMs'));
  if (!outcome.ok) return outcome;
  const { profile, payloads, warnings } = outcome.value;
  return ok({ profile, described: { payloads, warnings } });
}

function wantsProfile(c: AdminContext): boolean {
  return (c.req.header('Accept') ?? '').toLowerCase().includes(PROFILE_CONTENT_TYPE);
}

function view({ profile, ...built }: BuiltProfile) {
  return { ...built, size: profile.length };
}
