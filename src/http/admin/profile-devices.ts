/** `/profiles/{identifier}/devices`, `/install` and `/remove`: a stored profile on many devices. */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import type { SerialNumber, Udid } from '../../domain/ids.ts';
import { type DeviceOutcome, installMany, removeMany } from '../../domain/profile/many-profiles.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { problemDocument } from './problem.ts';
import { readDispatch, readTargets } from './profile-dispatch.ts';
import { deviceProfileView, profileOrderedView, profileRemovedView } from './profile-views.ts';
import { type AdminRefusal, refused, targetProblem } from './refusals.ts';
import { deploymentQuery, newInstalls, newRemovals } from './schemas/profile.ts';

export function profileDevices(services: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:identifier/devices', async (c) => {
    const identifier = parseDeclarationIdentifier(c.req.param('identifier'));
    if (!identifier.ok) return refused(c, identifier.refusal);
    const query = readQuery(c, deploymentQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { filter, limit } = query.value;
    const scope = `profile-devices ${identifier.value} ${filter}`;
    const cursor = decodeCursor(scope, query.value.cursor);
    if (!cursor.ok) return refused(c, cursor.refusal);
    const page = { cursor: cursor.value, limit };
    const found = await services.profileOverviews.deployment(identifier.value, filter, page);
    if (!found.ok) return refused(c, found.refusal);
    const { currentVersion, counts, page: devices } = found.value;
    const items = devices.items.map(deviceProfileView);
    return c.json({ currentVersion, counts, items, cursor: encodeCursor(scope, devices.cursor) });
  });

  app.post('/:identifier/install', async (c) => {
    const { identifier } = c.req.param();
    const body = await readJson(c, newInstalls);
    if (!body.ok) return refused(c, body.refusal);
    const dispatch = readDispatch(body.value, c.get('nowMs'));
    if (!dispatch.ok) return refused(c, dispatch.refusal);
    const asked = readTargets(body.value, identifier, 'outdated');
    if (!asked.ok) return refused(c, asked.refusal);
    const { version = null, again, confirm } = body.value;
    const confirmedSerials = new Map(Object.entries(confirm?.serials ?? {}) as [Udid, SerialNumber][]);
    const { targets, scope } = asked.value;
    const order = { ...dispatch.value, identifier, version, again, confirmedSerials, targets };
    const ordered = await installMany(services, order, c.get('nowMs'));
    if (!ordered.ok) return refused(c, ordered.refusal);
    const { outcomes, cursor } = ordered.value;
    return answerMany(c, outcomes, profileOrderedView, encodeCursor(scope, cursor));
  });

  app.post('/:identifier/remove', async (c) => {
    const { identifier } = c.req.param();
    const body = await readJson(c, newRemovals);
    if (!body.ok) return refused(c, body.refusal);
    const dispatch = readDispatch(body.value, c.get('nowMs'));
    if (!dispatch.ok) return refused(c, dispatch.refusal);
    const asked = readTargets(body.value, identifier, 'installed');
    if (!asked.ok) return refused(c, asked.refusal);
    const { targets, scope } = asked.value;
    const removed = await removeMany(services, { ...dispatch.value, identifier, targets }, c.get('nowMs'));
    if (!removed.ok) return refused(c, removed.refusal);
    const { outcomes, cursor } = removed.value;
    return answerMany(c, outcomes, profileRemovedView, encodeCursor(scope, cursor));
  });

  return app;
}

function answerMany<Value extends { readonly ordered: boolean }, Refusal extends AdminRefusal>(
  c: AdminContext,
  outcomes: readonly DeviceOutcome<Value, Refusal>[],
  view: (value: Value) => object,
  cursor: string | null,
): Response {
  const counts = { ordered: 0, unchanged: 0, refused: 0, unavailable: 0 };
  const items = outcomes.map(({ udid, outcome }) => {
    if (outcome.ok) {
      counts[outcome.value.ordered ? 'ordered' : 'unchanged'] += 1;
      return { ...view(outcome.value), udid };
    }
    counts[outcome.refusal.kind === 'unavailable' ? 'unavailable' : 'refused'] += 1;
    return { udid, refusal: problemDocument(targetProblem(outcome.refusal)) };
  });
  const { path } = c.req;
  c.get('log').event('admin', { method: 'POST', path, count: counts.ordered, status: 200 });
  return c.json({ counts, items, cursor });
}
