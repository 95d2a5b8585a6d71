/**
 * The JSON documents of declarative management (facts 4.1 and 4.2): tokens, the manifest, one declaration. Identifiers
 * and tokens past Apple's limits are a `Fault`: they were checked when they were stored.
 */
import { type Bytes, utf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import type { JsonObject } from '../plist/json.ts';
import { isIdentifier } from './endpoint.ts';

export interface ManifestItem {
  readonly identifier: string;
  readonly serverToken: string;
}

export interface Manifest {
  readonly activations: readonly ManifestItem[];
  readonly assets: readonly ManifestItem[];
  readonly configurations: readonly ManifestItem[];
  readonly management: readonly ManifestItem[];
  readonly declarationsToken: string;
}

export interface Declaration {
  readonly type: string;
  readonly identifier: string;
  readonly serverToken: string;
  readonly payload: JsonObject;
}

const DECLARATIONS_TOKEN_BYTES_MAX = 256;
/** RFC 3339 in UTC without a fraction: `toTimestamp` writes it. */
const TIMESTAMP = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

/** TokensResponse: answers `tokens`, and is the `Data` of the DeclarativeManagement command. */
export function encodeTokens(tokens: {
  readonly declarationsToken: string;
  readonly timestamp: string;
}): Bytes {
  if (!TIMESTAMP.test(tokens.timestamp))
    throw new Fault('ddm-timestamp', 'a timestamp is UTC, to the second');
  return json({
    SyncTokens: {
      Timestamp: tokens.timestamp,
      DeclarationsToken: declarationsToken(tokens.declarationsToken),
    },
  });
}

/** DeclarationItemsResponse: all four arrays are required, empty or not. */
export function encodeDeclarationItems(manifest: Manifest): Bytes {
  return json({
    Declarations: {
      Activations: manifest.activations.map(item),
      Assets: manifest.assets.map(item),
      Configurations: manifest.configurations.map(item),
      Management: manifest.management.map(item),
    },
    DeclarationsToken: declarationsToken(manifest.declarationsToken),
  });
}

export function encodeDeclaration(declaration: Declaration): Bytes {
  return json({ Type: declaration.type, ...item(declaration), Payload: declaration.payload });
}

function item({ identifier, serverToken }: ManifestItem) {
  if (!isIdentifier(identifier)) throw new Fault('ddm-identifier', 'an identifier has 1 to 64 octets');
  if (!isIdentifier(serverToken)) throw new Fault('ddm-server-token', 'a server token has 1 to 64 octets');
  return { Identifier: identifier, ServerToken: serverToken };
}

function declarationsToken(token: string): string {
  const length = utf8(token).length;
  if (length >= 1 && length <= DECLARATIONS_TOKEN_BYTES_MAX) return token;
  throw new Fault('ddm-declarations-token', 'a declarations token has 1 to 256 octets');
}

function json(content: unknown): Bytes {
  return utf8(JSON.stringify(content));
}
