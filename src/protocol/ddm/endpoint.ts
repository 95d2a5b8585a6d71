/** The endpoint inside a DeclarativeManagement check-in (facts 4.2; Apple: Declarative Management). */
import { utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';

export const DECLARATION_KINDS = ['activation', 'asset', 'configuration', 'management'] as const;
export type DeclarationKind = (typeof DECLARATION_KINDS)[number];

export type DdmEndpoint =
  | { readonly kind: 'tokens' }
  | { readonly kind: 'declaration-items' }
  | { readonly kind: 'status' }
  | { readonly kind: 'declaration'; readonly declarationKind: DeclarationKind; readonly identifier: string };

export type EndpointRefusal = { readonly kind: 'unknown-endpoint' };

/** Apple's limit for Identifier and ServerToken, in octets. */
export const IDENTIFIER_BYTES_MAX = 64;

/** The identifier is what follows the second slash, as it stands: Apple describes no escaping. */
const DECLARATION = /^declaration\/([a-z]+)\/([^\0-\x1f\x7f]{1,64})$/;

export function parseEndpoint(endpoint: string): Outcome<DdmEndpoint, EndpointRefusal> {
  if (endpoint === 'tokens' || endpoint === 'declaration-items' || endpoint === 'status') {
    return ok({ kind: endpoint });
  }
  const [, word, identifier] = DECLARATION.exec(endpoint) ?? [];
  const declarationKind = DECLARATION_KINDS.find((kind) => kind === word);
  if (declarationKind === undefined || identifier === undefined || !isIdentifier(identifier)) {
    return refuse({ kind: 'unknown-endpoint' });
  }
  return ok({ kind: 'declaration', declarationKind, identifier });
}

/** Within the limit; counted in octets, so a text of 64 characters may be too long. */
export function isIdentifier(text: string): boolean {
  return text !== '' && text.length <= IDENTIFIER_BYTES_MAX && utf8(text).length <= IDENTIFIER_BYTES_MAX;
}
