/**
 * What a device said it can take (`management.client-capabilities`, handbook 4.4). A list that is missing or empty is
 * read as silence, not as "nothing": a device that reports no configuration at all would otherwise lose all of them.
 */
import type { ClientCapabilities } from '../../protocol/ddm/status-report.ts';
import type { DeclarationKind } from './manifest.ts';

const LISTS: Readonly<Record<DeclarationKind, keyof ClientCapabilities['supportedDeclarations']>> = {
  activation: 'activations',
  asset: 'assets',
  configuration: 'configurations',
  management: 'management',
};

export interface Capabilities {
  takes(kind: DeclarationKind, type: string): boolean;
  reports(statusItem: string): boolean;
}

/** `json` is of `ClientCapabilities`, as the device last reported them; null before. */
export function parseCapabilities(json: string | null): Capabilities {
  const known = json === null ? null : (JSON.parse(json) as Partial<ClientCapabilities>);
  const listed = (names: readonly string[] | undefined) =>
    names === undefined || names.length === 0 ? null : new Set(names);
  const types = new Map(
    Object.entries(LISTS).map(
      ([kind, list]) => [kind, listed(known?.supportedDeclarations?.[list])] as const,
    ),
  );
  const items = listed(known?.supportedStatusItems);
  return {
    takes: (kind, type) => types.get(kind)?.has(type) ?? true,
    reports: (statusItem) => items?.has(statusItem) ?? true,
  };
}
