/**
 * `/devices/{udid}/profiles`: which stored profiles a device has and is to have, and ordering one by a command. A PUT
 * said again orders nothing more; neither does a DELETE.
 */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import { type MalformedIdentifier, parseUdid, type Udid } from '../../domain/ids.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import type { AdminEnv } from './env.ts';
import { readJson, readQuery } from './input.ts';
import { readDispatch } from './profile-dispatch.ts';
import { profileOnDeviceView, profileOrderedView, profileRemovedView } from './profile-views.ts';
import { refused } from './refusals.ts';
import { dispatchQuery, newInstall } from './schemas/profile.ts';
import { timestamp } from './views.ts';

export function deviceProfiles(services: AdminServices): Hono<AdminEnv> {
  const { deviceProfiles: orders, profileOverviews } = services;
  const app = new Hono<AdminEnv>();

  app.get('/:udid/profiles', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const overview = await profileOverviews.ofDevice(udid.value);
    if (!overview.ok) return refused(c, overview.refusal);
    const { items, listedAtMs, drift } = overview.value;
    const listedAt = listedAtMs === null ? null : timestamp(listedAtMs);
    return c.json({ items: items.map(profileOnDeviceView), listedAt, drift });
  });

  app.put('/:udid/profiles/:identifier', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const body = await readJson(c, newInstall);
    if (!body.ok) return refused(c, body.refusal);
    const dispatch = readDispatch(body.value, c.get('nowMs'));
    if (!dispatch.ok) return refused(c, dispatch.refusal);
    const { udid, identifier } = place.value;
    const { version = null, again, confirm } = body.value;
    const confirmedSerial = confirm?.serial ?? null;
    const order = { ...dispatch.value, identifier, version, again, confirmedSerial };
    const installed = await orders.install(udid, order, c.get('nowMs'));
    if (!installed.ok) return refused(c, installed.refusal);
    return c.json(profileOrderedView(installed.value), installed.value.ordered ? 201 : 200);
  });

  app.delete('/:udid/profiles/:identifier', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const query = readQuery(c, dispatchQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { udid, identifier } = place.value;
    const dispatch = { push: query.value.push === 'true', expiresAtMs: null, confirmedSerial: null };
    const removed = await orders.remove(udid, identifier, dispatch, c.get('nowMs'));
    if (!removed.ok) return refused(c, removed.refusal);
    return c.json(profileRemovedView(removed.value), removed.value.ordered ? 201 : 200);
  });

  return app;
}

function parsePlace(names: {
  readonly udid: string;
  readonly identifier: string;
}): Outcome<{ udid: Udid; identifier: string }, MalformedIdentifier> {
  const udid = parseUdid(names.udid);
  if (!udid.ok) return udid;
  const identifier = parseDeclarationIdentifier(names.identifier);
  return identifier.ok ? ok({ udid: udid.value, identifier: identifier.value }) : identifier;
}
