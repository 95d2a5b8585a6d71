/**
 * Watch enrollment as one setting of an iPhone (handbook section 5, step 1): an activation, the configuration with
 * the URL that watches fetch their profile from, and, when pinned, the anchor certificates as assets.
 *
 * Identifiers carry a digest of the content, so that two iPhones with the same anchors share declarations and a
 * change is a new declaration, never an edit of one that another iPhone holds.
 */
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Bytes, utf8 } from '../../std/bytes.ts';
import type { DeclarationKind } from './manifest.ts';
import type { Asset, CompiledWatchEnrollment, Declaration, Sha256Hex } from './ports.ts';
import { serverTokenOf } from './server-token.ts';

const PREFIX = 'com.escapement.watch-enrollment';

/** Anchors are DER certificates. The asset's content type and size are what the device checks its download by. */
export async function compileWatchEnrollment(
  publicUrl: string,
  anchors: readonly Bytes[],
  sha256Hex: Sha256Hex,
): Promise<CompiledWatchEnrollment> {
  const assets: Asset[] = [];
  const declarations: Declaration[] = [];
  const digests: string[] = [];
  for (const data of anchors) {
    const digest = await sha256Hex(data);
    if (digests.includes(digest)) continue;
    digests.push(digest);
    // The URL is part of the declaration: after a change of it, phones that hold the old one keep the old one.
    const identifier = anchorIdentifier(await sha256Hex(utf8(`${publicUrl} ${digest}`)));
    assets.push({ identifier, contentType: 'application/pkcs1', data });
    declarations.push(
      await declare(
        'asset',
        identifier,
        'com.apple.asset.credential.certificate',
        anchorPayload(publicUrl, identifier, data),
        sha256Hex,
      ),
    );
  }
  const references = assets.map((asset) => asset.identifier);
  const payload: JsonObject = { EnrollmentProfileURL: `${publicUrl}/enroll/watch` };
  if (references.length > 0) payload['AnchorCertificateAssetReferences'] = references;
  const name = (await sha256Hex(utf8(canonicalJson(payload)))).slice(0, 12);
  const configuration = `${PREFIX}.${name}`;
  declarations.push(
    await declare(
      'configuration',
      configuration,
      'com.apple.configuration.watch.enrollment',
      payload,
      sha256Hex,
    ),
    await declare(
      'activation',
      `${configuration}.activation`,
      'com.apple.activation.simple',
      { StandardConfigurations: [configuration] },
      sha256Hex,
    ),
  );
  return { declarations, assets, anchors: digests };
}

/** 54 characters, within Apple's 64. Half a SHA-256 names a certificate well enough; the token has the whole. */
export function anchorIdentifier(digestHex: string): string {
  return `com.escapement.anchor.${digestHex.slice(0, 32)}`;
}

export function isWatchEnrollment(identifier: string, kind: DeclarationKind): boolean {
  return kind === 'configuration' && identifier.startsWith(`${PREFIX}.`);
}

function anchorPayload(publicUrl: string, identifier: string, data: Bytes): JsonObject {
  return {
    Reference: {
      DataURL: `${publicUrl}/ddm/assets/${identifier}`,
      ContentType: 'application/pkcs1',
      Size: data.length,
    },
    Authentication: { Type: 'MDM' },
  };
}

async function declare(
  kind: DeclarationKind,
  identifier: string,
  type: string,
  payload: JsonObject,
  sha256Hex: Sha256Hex,
): Promise<Declaration> {
  const serverToken = await serverTokenOf({ type, identifier, payload }, null, sha256Hex);
  return { kind, identifier, type, payload, serverToken };
}
