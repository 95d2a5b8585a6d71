/**
 * What a device said it can take (`management.client-capabilities`, handbook 4.4). A list that is missing or empty is
 * read as silence, not as "nothing": a device that reports no configuration at all would otherwise lose all of them.
 */
import type { ClientCapabilities } from '../../protocol/ddm/status-report.ts';
import type { DeclarationKind } from './manifest.ts';

const LISTS = {
  activation: 'activations',
  asset: 'assets',
  configuration: 'configurations',
  management: 'management',
} as const satisfies Record<DeclarationKind, keyof ClientCapabilities['supportedDeclarations']>;

export interface Capabilities {
  takes(kind: DeclarationKind, type: string): boolean;
  reports(statusItem: string): boolean;
}

/** `json` is that of the last report's `ClientCapabilities`, null before. */
export function parseCapabilities(json: string | null): Capabilities {
  const said = json === null ? null : JSON.parse(json);
  const declarations = member(said, 'supportedDeclarations');
  const types = new Map(
    Object.entries(LISTS).map(([kind, list]) => [kind, names(member(declarations, list))] as const),
  );
  const items = names(member(said, 'supportedStatusItems'));
  return {
    takes: (kind, type) => types.get(kind)?.has(type) ?? true,
    reports: (statusItem) => items?.has(statusItem) ?? true,
  };
}

function member(value: unknown, name: keyof ClientCapabilities | (typeof LISTS)[DeclarationKind]): unknown {
  const own = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return own ? (value as Record<string, unknown>)[name] : undefined;
}

function names(value: unknown): ReadonlySet<string> | null {
  if (!Array.isArray(value)) return null;
  const list = value.filter((item) => typeof item === 'string');
  return list.length === 0 ? null : new Set(list);
}
