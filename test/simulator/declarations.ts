/**
 * What a device makes of the declarations it holds (facts 4.2 to 4.4): which are active, which are valid, and why
 * not. Pure: the manifest, the documents, the downloaded assets and the state of the device go in, the status of each
 * comes out.
 */
import { holds } from './predicate.ts';
import { PredicateError } from './predicate-values.ts';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonDict = { [key: string]: Json };

export type Kind = 'activation' | 'configuration' | 'asset' | 'management';

export interface Declaration {
  readonly kind: Kind;
  readonly identifier: string;
  readonly serverToken: string;
  readonly type: string;
  readonly payload: JsonDict;
}

export interface Reason {
  readonly code: string;
  readonly description: string;
  readonly details: JsonDict;
}

export interface Judgment {
  readonly declaration: Declaration;
  readonly active: boolean;
  readonly valid: 'unknown' | 'invalid' | 'valid';
  readonly reasons: readonly Reason[];
}

export interface Judging {
  readonly supportedTypes: ReadonlySet<string>;
  /** Why an asset's data could not be had, by identifier; absent when it could. */
  readonly assetFailures: ReadonlyMap<string, Reason>;
  /** What predicates ask about, by dotted item name. */
  readonly status: Readonly<Record<string, Json>>;
  /** Null when the payload is acceptable for its type. */
  checkConfiguration(declaration: Declaration): Reason | null;
}

export function reason(code: string, description: string, details: JsonDict = {}): Reason {
  return { code, description, details };
}

export function judge(declarations: readonly Declaration[], judging: Judging): Judgment[] {
  const known = new Map(declarations.map((one) => [one.identifier, one]));
  const surroundings = { status: judging.status, properties: propertiesOf(declarations) };
  const activations = ofKind(declarations, 'activation').map(
    (one) => judgeReferences(one, known) ?? judgePredicate(one, surroundings),
  );
  const activated = new Set(
    activations
      .filter((one) => one.active)
      .flatMap((one) => strings(one.declaration.payload['StandardConfigurations'])),
  );
  const configurations = ofKind(declarations, 'configuration').map((one) =>
    judgeConfiguration(one, activated.has(one.identifier), known, judging),
  );
  const referenced = new Set(
    configurations.filter((one) => one.active).flatMap((one) => assetReferences(one.declaration)),
  );
  const assets = ofKind(declarations, 'asset').map((one) => judgeAsset(one, referenced, judging));
  const management = ofKind(declarations, 'management').map((one) => verdict(one, false, null));
  return [...activations, ...configurations, ...assets, ...management];
}

function ofKind(declarations: readonly Declaration[], kind: Kind): Declaration[] {
  return declarations.filter((one) => one.kind === kind);
}

function verdict(declaration: Declaration, active: boolean, problem: Reason | null, info?: Reason): Judgment {
  const reasons = [problem, info ?? null].filter((one) => one !== null);
  return { declaration, active, valid: problem === null ? 'valid' : 'invalid', reasons };
}

/** Of all `com.apple.management.properties` together. */
function propertiesOf(declarations: readonly Declaration[]): JsonDict {
  const payloads = declarations.filter((one) => one.type === PROPERTIES).map((one) => one.payload);
  return Object.assign({}, ...payloads) as JsonDict;
}

const PROPERTIES = 'com.apple.management.properties';

/** Null when every configuration that the activation names is here. */
function judgeReferences(one: Declaration, known: ReadonlyMap<string, Declaration>): Judgment | null {
  const wanted = strings(one.payload['StandardConfigurations']);
  const missing = wanted.filter((identifier) => known.get(identifier)?.kind !== 'configuration');
  if (one.type !== 'com.apple.activation.simple') {
    return verdict(one, false, reason('Error.InvalidPayload', `type ${one.type} is not known`));
  }
  if (missing.length === 0) return null;
  const text = 'The activation references configurations that are missing.';
  return verdict(one, false, reason('Error.MissingConfigurations', text, { Identifiers: missing }));
}

function judgePredicate(one: Declaration, surroundings: Parameters<typeof holds>[1]): Judgment {
  const { identifier: Identifier, serverToken: ServerToken } = one;
  const Predicate = String(one.payload['Predicate'] ?? 'TRUEPREDICATE');
  const details = { Identifier, ServerToken, Predicate };
  try {
    if (holds(Predicate, surroundings)) return verdict(one, true, null);
    return verdict(one, false, null, reason('Info.Predicate', 'The predicate is false.', details));
  } catch (error) {
    if (!(error instanceof PredicateError)) throw error;
    return verdict(one, false, reason(error.code, error.message, details));
  }
}

function judgeConfiguration(
  one: Declaration,
  activated: boolean,
  known: ReadonlyMap<string, Declaration>,
  judging: Judging,
): Judgment {
  const info = activated
    ? undefined
    : reason('Info.NotReferencedByActivation', 'Configuration is not referenced by an activation.');
  const missing = assetReferences(one).filter((identifier) => known.get(identifier)?.kind !== 'asset');
  const problem = !judging.supportedTypes.has(one.type)
    ? reason('Error.ConfigurationNotSupported', `Configuration type is not supported: ${one.type}`)
    : missing.length > 0
      ? reason('Error.MissingAssets', 'Assets are missing.', { Identifiers: missing })
      : (judging.checkConfiguration(one) ?? failedAsset(one, judging));
  return verdict(one, activated && problem === null, problem, info);
}

function failedAsset(one: Declaration, judging: Judging): Reason | null {
  const failed = assetReferences(one).find((identifier) => judging.assetFailures.has(identifier));
  if (failed === undefined) return null;
  return reason('Error.ConfigurationCannotBeApplied', 'An asset is not usable.', { Identifier: failed });
}

function judgeAsset(one: Declaration, referenced: ReadonlySet<string>, judging: Judging): Judgment {
  const used = referenced.has(one.identifier);
  const info = used ? undefined : reason('Info.NotReferencedByConfiguration', 'Asset is not referenced.');
  return verdict(one, used, judging.assetFailures.get(one.identifier) ?? null, info);
}

/** Every `…AssetReference` and `…AssetReferences` in a payload. */
export function assetReferences(one: Declaration): string[] {
  return Object.entries(one.payload).flatMap(([key, value]) => {
    if (key.endsWith('AssetReferences')) return strings(value);
    return key.endsWith('AssetReference') && typeof value === 'string' ? [value] : [];
  });
}

export function strings(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

export function isJsonDict(value: Json | undefined): value is JsonDict {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
