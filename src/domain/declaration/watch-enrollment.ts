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
import type { AssignedDeclaration } from './library-ports.ts';
import type { DeclarationKind, ManifestEntry } from './manifest.ts';
import type { Asset, CompiledWatchEnrollment, Declaration, Sha256Hex } from './ports.ts';
import { serverTokenOf } from './server-token.ts';

const PREFIX = 'com.escapement.watch-enrollment';
const ANCHOR_PREFIX = 'com.escapement.anchor.';
const TYPES = {
  asset: 'com.apple.asset.credential.certificate',
  configuration: 'com.apple.configuration.watch.enrollment',
  activation: 'com.apple.activation.simple',
  management: null,
} as const satisfies Record<DeclarationKind, string | null>;

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
      await declare('asset', identifier, TYPES.asset, anchorPayload(publicUrl, identifier, data), sha256Hex),
    );
  }
  const references = assets.map((asset) => asset.identifier);
  const payload: JsonObject = { EnrollmentProfileURL: `${publicUrl}/enroll/watch` };
  if (references.length > 0) payload['AnchorCertificateAssetReferences'] = references;
  const name = (await sha256Hex(utf8(canonicalJson(payload)))).slice(0, 12);
  const configuration = `${PREFIX}.${name}`;
  declarations.push(
    await declare('configuration', configuration, TYPES.configuration, payload, sha256Hex),
    await declare(
      'activation',
      `${configuration}.activation`,
      TYPES.activation,
      { StandardConfigurations: [configuration] },
      sha256Hex,
    ),
  );
  return { declarations, assets, anchors: digests };
}

/** 54 characters, within Apple's 64. Half a SHA-256 names a certificate well enough; the token has the whole. */
export function anchorIdentifier(digestHex: string): string {
  return `${ANCHOR_PREFIX}${digestHex.slice(0, 32)}`;
}

/** What a device holds of a watch enrollment, whatever it was compiled from. */
export function heldWatchEnrollment(held: readonly ManifestEntry[]): readonly AssignedDeclaration[] {
  return held.flatMap(({ kind, identifier, serverToken }) => {
    const type = TYPES[kind];
    const ours = [`${PREFIX}.`, ANCHOR_PREFIX].some((prefix) => identifier.startsWith(prefix));
    return type === null || !ours ? [] : [{ kind, identifier, type, content: { serverToken } }];
  });
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
