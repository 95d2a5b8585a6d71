/**
 * The whole HTTP surface: one application per audience (design section 6). Reads the clock once a request, names
 * the request, and is the only catcher of what the audiences throw.
 */
import { Hono } from 'hono';
import type { AdminServices } from '../domain/admin/services.ts';
import { consoleLog } from '../log.ts';
import { randomUuid } from '../pki/random.ts';
import { epochMs } from '../std/time.ts';
import { adminApp } from './admin/routes.ts';
import type { AppEnv } from './app-env.ts';
import { type AssetServices, assetsApp } from './assets/routes.ts';
import { type EnrollServices, enrollApp } from './enroll/routes.ts';
import { answerError } from './errors.ts';
import { type MdmServices, mdmApp } from './mdm/routes.ts';
import { type PackageServices, packagesApp } from './packages/routes.ts';
import { type ScepServices, scepApp } from './scep/routes.ts';

export interface Services {
  readonly health: { readonly environment: string; readonly anchors: 'apple' | 'simulated' };
  /** Public keys that pairing tokens verify with. */
  readonly jwks: { readonly keys: readonly object[] };
  readonly mdm: MdmServices;
  readonly enroll: EnrollServices;
  readonly scep: ScepServices;
  readonly assets: Omit<AssetServices, 'verifier'>;
  readonly packages: PackageServices;
  readonly admin: AdminServices;
}

/** Long enough to spare us, short enough that a retired key is soon forgotten. */
const JWKS_CACHE = 'public, max-age=300';

export function createApp(services: Services): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(async (c, next) => {
    const requestId = c.req.header('CF-Ray') ?? randomUuid();
    c.set('nowMs', epochMs(Date.now()));
    c.set('requestId', requestId);
    c.set('log', consoleLog({ requestId }));
    await next();
    // What a device is told is for it alone, and for now.
    if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store');
  });
  app.get('/healthz', (c) => c.json({ status: 'ok', ...services.health }));
  app.get('/.well-known/escapement/jwks.json', (c) =>
    c.json(services.jwks, 200, { 'Cache-Control': JWKS_CACHE }),
  );
  for (const path of ['/healthz', '/.well-known/escapement/jwks.json']) {
    app.all(path, () => new Response(null, { status: 405, headers: { Allow: 'GET, HEAD' } }));
  }
  app.route('/', mdmApp(services.mdm));
  app.route('/', enrollApp(services.enroll));
  app.route('/', scepApp(services.scep));
  app.route('/', assetsApp({ verifier: services.mdm.verifier, ...services.assets }));
  app.route('/', packagesApp(services.packages));
  app.route('/api/v1', adminApp(services.admin) as unknown as Hono<AppEnv>);
  app.notFound((c) => c.text('not found\n', 404));
  app.onError((error, c) => answerError(error, c.get('log')));
  return app;
}
