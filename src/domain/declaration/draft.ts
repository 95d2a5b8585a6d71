/**
 * A declaration as an administrator wrote it, checked as far as it can be without looking at others: its identifier,
 * its content against the catalog, its predicate. Platforms and versions are not judged here, because a declaration
 * is for many devices; what a device cannot have is withheld from its manifest (manifest-compiler.ts).
 */
import { type InvalidContent, validate } from '../../protocol/catalog/validate.ts';
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import { isIdentifier } from '../../protocol/ddm/endpoint.ts';
import { type PredicateRefusal, parsePredicate } from '../../protocol/ddm/predicate/parse.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import { utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { MalformedIdentifier } from '../ids.ts';
import { allReferencesOf } from './asset-types.ts';
import { type DeclarationKind, RESERVED_PREFIX } from './manifest.ts';
import type { Reference } from './references.ts';
import { hasVariables, isVariable, type VariableUse, variablesOf } from './variables.ts';

/** In canonical JSON. A device gets it in one answer, and D1 keeps it in one row of at most 2 MB. */
export const PAYLOAD_BYTES_MAX = 256 * 1024;

/** A value has at most 256 characters, so a rendering grows by at most 16 KiB. */
const VARIABLES_MAX = 64;
const USES_NAMED_MAX = 32;
/** Of a payload with variables: manifests are compiled from it, 50 devices and all their sets at a time. */
const TEMPLATE_BYTES_MAX = 16 * 1024;

export interface DeclarationInput {
  readonly type: string;
  readonly payload: JsonObject;
  readonly allowUnknown: boolean;
}

export interface DeclarationDraft {
  readonly identifier: string;
  readonly kind: DeclarationKind;
  readonly type: string;
  readonly payload: JsonObject;
  readonly references: readonly Reference[];
  /** It holds variables. */
  readonly templated: boolean;
}

export type IdentifierRefusal =
  | MalformedIdentifier
  | { readonly kind: 'reserved-identifier'; readonly prefix: string };

export type VariableRefusal =
  | { readonly kind: 'unknown-variables'; readonly uses: readonly VariableUse[] }
  | { readonly kind: 'variable-in-predicate' }
  | { readonly kind: 'too-many-variables'; readonly usesMax: number };

export type DraftRefusal =
  | IdentifierRefusal
  | InvalidContent
  | PredicateRefusal
  | VariableRefusal
  | { readonly kind: 'payload-too-large'; readonly bytesMax: number };

const KIND = /^com\.apple\.(activation|asset|configuration|management)\./;

/** The four families by their names, known to the catalog or not; null for anything else. */
export function kindOfType(type: string): DeclarationKind | null {
  return (KIND.exec(type)?.[1] as DeclarationKind | undefined) ?? null;
}

/** Apple's 64 octets; control characters would not survive the endpoint that fetches it. */
export function parseDeclarationIdentifier(text: string): Outcome<string, MalformedIdentifier> {
  const wellFormed = isIdentifier(text) && text.isWellFormed() && !/\p{Cc}/u.test(text);
  return wellFormed ? ok(text) : refuse({ kind: 'malformed-identifier', field: 'declaration identifier' });
}

/** Of a declaration that administrators may change. */
export function parseOwnIdentifier(text: string): Outcome<string, IdentifierRefusal> {
  const identifier = parseDeclarationIdentifier(text);
  // A reference to it would be read as a variable.
  if (text.includes('${')) return refuse({ kind: 'malformed-identifier', field: 'declaration identifier' });
  if (!identifier.ok || !text.startsWith(RESERVED_PREFIX)) return identifier;
  return refuse({ kind: 'reserved-identifier', prefix: RESERVED_PREFIX });
}

export async function parseDraft(
  name: string,
  { type, payload, allowUnknown }: DeclarationInput,
): Promise<Outcome<DeclarationDraft, DraftRefusal>> {
  const identifier = parseOwnIdentifier(name);
  if (!identifier.ok) return identifier;
  const kind = kindOfType(type);
  if (kind === null) return unreadable('Type', 'a type of an activation, asset, configuration or management');
  // A literal past the largest double is read as infinity, which no JSON can say.
  if (!isFiniteJson(payload)) return unreadable('Payload', 'numbers within the range of a double');
  const bytes = utf8(canonicalJson(payload)).length;
  if (bytes > PAYLOAD_BYTES_MAX) return refuse({ kind: 'payload-too-large', bytesMax: PAYLOAD_BYTES_MAX });
  const valid = await validate(kind, type, payload, undefined, { allowUnknown });
  if (!valid.ok) return valid;
  const predicate = kind === 'activation' ? payload['Predicate'] : undefined;
  if (typeof predicate === 'string') {
    const parsed = parsePredicate(predicate);
    if (!parsed.ok) return parsed;
  }
  const templated = judgeVariables(kind, payload);
  if (!templated.ok) return templated;
  if (templated.value && bytes > TEMPLATE_BYTES_MAX)
    return refuse({ kind: 'payload-too-large', bytesMax: TEMPLATE_BYTES_MAX });
  const references = await allReferencesOf({ kind, type, payload });
  return ok({ identifier: identifier.value, kind, type, payload, references, templated: templated.value });
}

/** Whether it holds variables. */
function judgeVariables(kind: DeclarationKind, payload: JsonObject): Outcome<boolean, VariableRefusal> {
  const { Predicate: predicate } = payload;
  if (kind === 'activation' && predicate !== undefined && variablesOf(predicate).length > 0)
    return refuse({ kind: 'variable-in-predicate' });
  const uses = variablesOf(payload);
  if (uses.length > VARIABLES_MAX) return refuse({ kind: 'too-many-variables', usesMax: VARIABLES_MAX });
  const unknown = uses.filter(({ name }) => !isVariable(name));
  if (unknown.length > 0)
    return refuse({ kind: 'unknown-variables', uses: unknown.slice(0, USES_NAMED_MAX) });
  // The escape of a variable is taken out by the same pass.
  return ok(kind !== 'activation' && hasVariables(payload));
}

function unreadable(path: string, expected: string) {
  return refuse<InvalidContent>({ kind: 'invalid-content', problems: [{ path, rule: 'type', expected }] });
}

function isFiniteJson(value: JsonValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isFiniteJson);
}
