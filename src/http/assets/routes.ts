/**
 * Asset data and legacy profiles (design section 6), for devices that were given the declaration. Who asks is told by
 * `Mdm-Signature` over the empty body or, where a request has none, by the client certificate that the edge verified;
 * whether it is to have this, by its own object. Content-Type and length are those of the declaration, which the
 * device checks its download by.
 */
import { type Context, Hono } from 'hono';
import type { DeclarationKind } from '../../domain/declaration/manifest.ts';
import { RESERVED_PREFIX } from '../../domain/declaration/manifest.ts';
import type { Asset, DeclarationStore } from '../../domain/declaration/ports.ts';
import type { Uploads } from '../../domain/declaration/uploads.ts';
import type { Devices } from '../../domain/enrollment/device.ts';
import type { DeviceVerifier } from '../../domain/identity/device-verifier.ts';
import { isIdentifier } from '../../protocol/ddm/endpoint.ts';
import { Fault, refuse } from '../../std/outcome.ts';
import type { AppEnv } from '../app-env.ts';
import { edgeCertificate } from '../edge-certificate.ts';
import { refuseDevice } from '../mdm/refusals.ts';

export interface AssetServices {
  readonly verifier: DeviceVerifier;
  readonly devices: Devices;
  /** The server's own assets: certificates that watch enrollment pins, which are public. */
  readonly store: Pick<DeclarationStore, 'asset'>;
  readonly uploads: Pick<Uploads, 'download'>;
}

interface Download {
  readonly resource: 'assets' | 'profiles';
  readonly kind: DeclarationKind;
  readonly notHeld: { readonly kind: 'asset-not-held' | 'profile-not-held' };
}

const DOWNLOADS: readonly Download[] = [
  { resource: 'assets', kind: 'asset', notHeld: { kind: 'asset-not-held' } },
  { resource: 'profiles', kind: 'configuration', notHeld: { kind: 'profile-not-held' } },
];

export function assetsApp(services: AssetServices): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  for (const download of DOWNLOADS) {
    const path = `/ddm/${download.resource}/:identifier` as const;
    app.get(path, (c) => answer(c, c.req.param('identifier'), download, services));
    app.all(path, () => new Response(null, { status: 405, headers: { Allow: 'GET, HEAD' } }));
  }
  return app;
}

async function answer(
  c: Context<AppEnv>,
  identifier: string,
  { resource, kind, notHeld }: Download,
  services: AssetServices,
): Promise<Response> {
  const device = await verified(c, services.verifier);
  if (!device.ok) return refuseDevice(c, device.refusal);
  const { udid, certificateDigest } = device.value;
  if (!isIdentifier(identifier)) return refuseDevice(c, notHeld, udid);
  const object = services.devices.of(udid);
  const held = await object.fetchDeclaration(certificateDigest, kind, identifier, c.get('nowMs'));
  if (!held.ok) return refuseDevice(c, held.refusal, udid);
  if (held.value === null) return refuseDevice(c, notHeld, udid);
  const found: Asset | null = identifier.startsWith(RESERVED_PREFIX)
    ? await services.store.asset(identifier)
    : await services.uploads.download(resource, held.value);
  if (found !== null)
    return new Response(found.data, {
      headers: { 'Content-Type': found.contentType, 'Content-Length': String(found.data.length) },
    });
  if (identifier.startsWith(RESERVED_PREFIX))
    throw new Fault('asset-missing', `a manifest names ${identifier}, which has no data`);
  // Its declaration says to fetch elsewhere: there is nothing here to have.
  return refuseDevice(c, notHeld, udid);
}

async function verified(c: Context<AppEnv>, verifier: DeviceVerifier) {
  const signature = c.req.header('Mdm-Signature') ?? null;
  if (signature !== null) return verifier.verify(signature, new Uint8Array(0), c.get('nowMs'));
  const certificate = edgeCertificate(c.req.raw);
  if (!certificate.ok) return certificate;
  return certificate.value === null
    ? refuse({ kind: 'signature-missing' as const })
    : verifier.verifyEdge(certificate.value);
}
