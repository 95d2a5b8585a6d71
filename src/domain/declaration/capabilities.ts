/**
 * What a device said it can take (`management.client-capabilities`, handbook 4.4). A list that is missing or empty is
 * read as silence, not as "nothing": a device that reports no configuration at all would otherwise lose all of them.
 */
import type { DeclarationKind } from './manifest.ts';

const LISTS: Readonly<Record<DeclarationKind, string>> = {
  activation: 'activations',
  asset: 'assets',
  configuration: 'configurations',
  management: 'management',
};

export interface Capabilities {
  takes(kind: DeclarationKind, type: string): boolean;
  reports(statusItem: string): boolean;
}

/** `json` is the item as it was last reported, null before. */
export function parseCapabilities(json: string | null): Capabilities {
  const payloads = member(json === null ? null : JSON.parse(json), 'supported-payloads');
  const declarations = member(payloads, 'declarations');
  const types = new Map(
    Object.entries(LISTS).map(([kind, list]) => [kind, names(member(declarations, list))] as const),
  );
  const items = names(member(payloads, 'status-items'));
  return {
    takes: (kind, type) => types.get(kind)?.has(type) ?? true,
    reports: (statusItem) => items?.has(statusItem) ?? true,
  };
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function names(value: unknown): ReadonlySet<string> | null {
  if (!Array.isArray(value)) return null;
  const list = value.filter((item) => typeof item === 'string');
  return list.length === 0 ? null : new Set(list);
}
