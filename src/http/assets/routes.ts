/**
 * Asset data (design section 6), for devices that were given the declaration: `Mdm-Signature` over the empty body
 * says which device asks, its own object whether the asset is in its manifest. Content-Type and length are those
 * of the declaration, which the device checks its download by.
 */
import { Hono } from 'hono';
import type { DeclarationStore } from '../../domain/declaration/ports.ts';
import type { Devices } from '../../domain/enrollment/device.ts';
import type { DeviceVerifier } from '../../domain/identity/device-verifier.ts';
import { isIdentifier } from '../../protocol/ddm/endpoint.ts';
import { Fault } from '../../std/outcome.ts';
import type { AppEnv } from '../app-env.ts';
import { refuseDevice } from '../mdm/refusals.ts';

export interface AssetServices {
  readonly verifier: DeviceVerifier;
  readonly devices: Devices;
  readonly store: Pick<DeclarationStore, 'asset'>;
}

export function assetsApp(services: AssetServices): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get('/ddm/assets/:identifier', async (c) => {
    const signature = c.req.header('Mdm-Signature') ?? null;
    const device = await services.verifier.verify(signature, new Uint8Array(0), c.get('nowMs'));
    if (!device.ok) return refuseDevice(c, device.refusal);
    const { udid, certificateDigest } = device.value;
    const identifier = c.req.param('identifier');
    if (!isIdentifier(identifier)) return refuseDevice(c, { kind: 'asset-not-held' }, udid);
    const held = await services.devices
      .of(udid)
      .fetchDeclaration(certificateDigest, 'asset', identifier, c.get('nowMs'));
    if (!held.ok) return refuseDevice(c, held.refusal, udid);
    if (held.value === null) return refuseDevice(c, { kind: 'asset-not-held' }, udid);
    const asset = await services.store.asset(identifier);
    if (asset === null) throw new Fault('asset-missing', `a manifest names ${identifier}, which has no data`);
    const headers = { 'Content-Type': asset.contentType, 'Content-Length': String(asset.data.length) };
    return new Response(asset.data, { headers });
  });

  app.all(
    '/ddm/assets/:identifier',
    () => new Response(null, { status: 405, headers: { Allow: 'GET, HEAD' } }),
  );
  return app;
}
