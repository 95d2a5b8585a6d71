/**
 * StatusReport (facts 4.5): what a device says of its declarations and itself. Read here: `management.declarations`
 * and `management.client-capabilities`; every other item stays JSON. Keys that Apple requires and a device left out
 * are read as empty: a report that is not answered 200 comes again for ever.
 */
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { JsonObject, JsonValue } from '../plist/json.ts';
import { isJsonObject, type JsonRefusal, member, parseJson } from './bounded-json.ts';

export interface StatusReason {
  readonly code: string;
  readonly description: string | null;
  readonly details: JsonObject | null;
}

/** `valid` is about this server token and says nothing of another (facts 4.5). */
export interface DeclarationStatus {
  readonly identifier: string;
  readonly serverToken: string;
  readonly active: boolean;
  readonly valid: 'unknown' | 'invalid' | 'valid';
  readonly reasons: readonly StatusReason[];
}

/** Identifiers share one namespace, so those taken away need no kind. */
export interface DeclarationsStatus {
  readonly activations: readonly DeclarationStatus[];
  readonly assets: readonly DeclarationStatus[];
  readonly configurations: readonly DeclarationStatus[];
  readonly management: readonly DeclarationStatus[];
  readonly removed: readonly string[];
}

export interface ClientCapabilities {
  readonly supportedVersions: readonly string[];
  readonly supportedDeclarations: {
    readonly activations: readonly string[];
    readonly assets: readonly string[];
    readonly configurations: readonly string[];
    readonly management: readonly string[];
  };
  readonly supportedStatusItems: readonly string[];
  readonly supportedFeatures: JsonObject;
}

export interface StatusError {
  readonly statusItem: string;
  readonly reasons: readonly StatusReason[];
}

export interface StatusReport {
  /** The report replaces what earlier ones said. */
  readonly fullReport: boolean;
  readonly statusItems: JsonObject;
  readonly errors: readonly StatusError[];
  /** Null when the report does not speak of them. */
  readonly declarations: DeclarationsStatus | null;
  readonly clientCapabilities: ClientCapabilities | null;
  /** The report exactly as it came. */
  readonly raw: Bytes;
}

export type StatusRefusal =
  | JsonRefusal
  | { readonly kind: 'malformed-status-report'; readonly field: string };

export function parseStatusReport(bytes: Bytes): Outcome<StatusReport, StatusRefusal> {
  const json = parseJson(bytes);
  if (!json.ok) return json;
  const reader = new StatusReader();
  const report = reader.object(json.value, 'StatusReport');
  const statusItems = reader.object(member(report, 'StatusItems') ?? {}, 'StatusItems');
  const management = reader.object(member(statusItems, 'management') ?? {}, 'management');
  const declarations = member(management, 'declarations');
  const capabilities = member(management, 'client-capabilities');
  const value: StatusReport = {
    fullReport: reader.boolean(member(report, 'FullReport') ?? false, 'FullReport'),
    statusItems,
    errors: reader.array(member(report, 'Errors') ?? [], 'Errors').map((error) => readError(reader, error)),
    declarations: declarations === undefined ? null : readDeclarations(reader, declarations),
    clientCapabilities: capabilities === undefined ? null : readCapabilities(reader, capabilities),
    raw: bytes,
  };
  return reader.failed === null
    ? ok(value)
    : refuse({ kind: 'malformed-status-report', field: reader.failed });
}

/** A value of the wrong type is replaced by an empty one and remembered; the first is the refusal. */
class StatusReader {
  failed: string | null = null;

  object(value: JsonValue, field: string): JsonObject {
    return isJsonObject(value) ? value : this.#fail(field, {});
  }

  array(value: JsonValue, field: string): readonly JsonValue[] {
    return Array.isArray(value) ? value : this.#fail(field, []);
  }

  string(value: JsonValue | undefined, field: string): string {
    return typeof value === 'string' ? value : this.#fail(field, '');
  }

  optionalString(value: JsonValue | undefined, field: string): string | null {
    return value === undefined || value === null ? null : this.string(value, field);
  }

  strings(value: JsonValue | undefined, field: string): readonly string[] {
    return this.array(value ?? [], field).map((item) => this.string(item, field));
  }

  boolean(value: JsonValue | undefined, field: string): boolean {
    return typeof value === 'boolean' ? value : this.#fail(field, false);
  }

  valid(value: JsonValue | undefined, field: string): DeclarationStatus['valid'] {
    return value === 'valid' || value === 'invalid' || value === 'unknown'
      ? value
      : this.#fail(field, 'unknown');
  }

  #fail<T>(field: string, placeholder: T): T {
    this.failed ??= field;
    return placeholder;
  }
}

/** Capitalized keys here, lower-case ones in `management.declarations` (facts 4.5). */
function readError(reader: StatusReader, value: JsonValue): StatusError {
  const error = reader.object(value, 'Errors');
  const reasons = reader.array(member(error, 'Reasons') ?? [], 'Errors.Reasons');
  return {
    statusItem: reader.string(member(error, 'StatusItem'), 'Errors.StatusItem'),
    reasons: reasons.map((reason) =>
      readReason(reader, reason, { code: 'Code', description: 'Description', details: 'Details' }),
    ),
  };
}

function readReason(
  reader: StatusReader,
  value: JsonValue,
  keys: { readonly code: string; readonly description: string; readonly details: string },
): StatusReason {
  const reason = reader.object(value, 'reasons');
  const details = member(reason, keys.details) ?? null;
  return {
    code: reader.string(member(reason, keys.code), 'reasons.code'),
    description: reader.optionalString(member(reason, keys.description), 'reasons.description'),
    details: details === null ? null : reader.object(details, 'reasons.details'),
  };
}

function readDeclarations(reader: StatusReader, value: JsonValue): DeclarationsStatus {
  const groups = reader.object(value, 'management.declarations');
  const removed: string[] = [];
  const group = (key: string) => {
    const field = `management.declarations.${key}`;
    const present: DeclarationStatus[] = [];
    for (const item of reader.array(member(groups, key) ?? [], field)) {
      const declaration = reader.object(item, field);
      if (isRemoved(declaration)) removed.push(reader.string(member(declaration, 'identifier'), field));
      else present.push(readDeclaration(reader, declaration, field));
    }
    return present;
  };
  return {
    activations: group('activations'),
    assets: group('assets'),
    configurations: group('configurations'),
    management: group('management'),
    removed,
  };
}

/** Apple's schema says `_removed`, its prose `removed` (facts 17). */
function isRemoved(item: JsonObject): boolean {
  return member(item, '_removed') === true || member(item, 'removed') === true;
}

function readDeclaration(reader: StatusReader, item: JsonObject, field: string): DeclarationStatus {
  const reasons = reader.array(member(item, 'reasons') ?? [], `${field}.reasons`);
  return {
    identifier: reader.string(member(item, 'identifier'), `${field}.identifier`),
    serverToken: reader.string(member(item, 'server-token'), `${field}.server-token`),
    active: reader.boolean(member(item, 'active'), `${field}.active`),
    valid: reader.valid(member(item, 'valid'), `${field}.valid`),
    reasons: reasons.map((reason) =>
      readReason(reader, reason, { code: 'code', description: 'description', details: 'details' }),
    ),
  };
}

function readCapabilities(reader: StatusReader, value: JsonValue): ClientCapabilities {
  const field = 'management.client-capabilities';
  const capabilities = reader.object(value, field);
  const payloads = reader.object(
    member(capabilities, 'supported-payloads') ?? {},
    `${field}.supported-payloads`,
  );
  const declarations = reader.object(member(payloads, 'declarations') ?? {}, `${field}.declarations`);
  const types = (key: string) => reader.strings(member(declarations, key), `${field}.declarations.${key}`);
  return {
    supportedVersions: reader.strings(
      member(capabilities, 'supported-versions'),
      `${field}.supported-versions`,
    ),
    supportedDeclarations: {
      activations: types('activations'),
      assets: types('assets'),
      configurations: types('configurations'),
      management: types('management'),
    },
    supportedStatusItems: reader.strings(member(payloads, 'status-items'), `${field}.status-items`),
    supportedFeatures: reader.object(
      member(capabilities, 'supported-features') ?? {},
      `${field}.supported-features`,
    ),
  };
}
