/**
 * The administrators' API, joined below `/api/v1`: JSON in, JSON or problem documents out. Every path asks for a
 * key first, so a stranger learns not even which paths exist. What an answer holds is never cached.
 */
import { Hono } from 'hono';
import type { AdminServices } from '../../domain/admin/services.ts';
import { EscapementError, Unavailable } from '../../std/outcome.ts';
import { apps } from './apps.ts';
import { assets } from './assets.ts';
import { authenticate } from './authenticate.ts';
import { catalog } from './catalog.ts';
import { commands } from './commands.ts';
import { declarations } from './declarations.ts';
import { deployments, deviceApps } from './deployments.ts';
import { deviceProfiles } from './device-profiles.ts';
import { devices } from './devices.ts';
import { dryRun } from './dry-run.ts';
import { enrollmentLinks } from './enrollment-links.ts';
import type { AdminEnv } from './env.ts';
import { events } from './events.ts';
import { expectedDevices } from './expected-devices.ts';
import { groups } from './groups.ts';
import { inventory } from './inventory.ts';
import { manifests } from './manifests.ts';
import { manyCommands } from './many-commands.ts';
import { pair } from './pair.ts';
import { pairings } from './pairings.ts';
import { policy } from './policy.ts';
import { profileBuilds } from './profile-build.ts';
import { profileDevices } from './profile-devices.ts';
import { profileVersions } from './profile-versions.ts';
import { profiles } from './profiles.ts';
import { refused } from './refusals.ts';
import { sets } from './sets.ts';
import { deviceProperties, subscriptions } from './settings.ts';
import { unmatched } from './unmatched.ts';
import { watchEnrollment } from './watch-enrollment.ts';

export function adminApp(services: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.use(async (c, next) => {
    await next();
    c.header('Cache-Control', 'no-store');
    c.header('X-Content-Type-Options', 'nosniff');
  });
  app.use(authenticate(services.authenticator));

  app.route('/enrollment-links', enrollmentLinks(services));
  app.route('/devices', devices(services));
  app.route('/devices', commands(services));
  app.route('/devices', inventory(services));
  app.route('/devices', pair(services));
  app.route('/devices', policy(services));
  app.route('/commands', manyCommands(services));
  app.route('/watch-enrollment', watchEnrollment(services));
  app.route('/pairings', pairings(services));
  app.route('/expected-devices', expectedDevices(services));
  app.route('/declarations', declarations(services));
  app.route('/assets', assets(services));
  app.route('/profiles', profiles(services));
  app.route('/apps', apps(services));
  app.route('/deployments', deployments(services));
  app.route('/devices', deviceApps(services));
  app.route('/profiles', profileBuilds(services));
  app.route('/profiles', profileVersions(services));
  app.route('/profiles', profileDevices(services));
  app.route('/devices', deviceProfiles(services));
  app.route('/sets', sets(services));
  app.route('/events', events(services));
  app.route('/groups', groups(services));
  app.route('/devices', deviceProperties(services));
  app.route('/subscriptions', subscriptions(services));
  app.route('/manifests', manifests(services));
  app.route('/dry-run', dryRun(services));
  app.route('/catalog', catalog());
  app.all('*', unmatched(app.routes));

  app.onError((error, c) => {
    const unavailable = error instanceof Unavailable;
    const code = error instanceof EscapementError ? error.code : error.name;
    c.get('log').event(unavailable ? 'unavailable' : 'fault', { errorCode: code, error: error.message });
    return refused(c, { kind: unavailable ? 'unavailable' : 'fault' });
  });
  return app;
}
