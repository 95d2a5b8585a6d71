/**
 * Which status items the devices of a platform report: one configuration, and the activation of it, on every device.
 * A device is asked only for what its platform and version have (the catalog) and its capabilities name, so its list
 * is a function of the platform's list and of what is known of the device. Items under `management.` come unasked.
 */
import type { KindCatalog } from '../../protocol/catalog/catalog.ts';
import { type CatalogTarget, entryUnsupported } from '../../protocol/catalog/support.ts';
import type { Platform } from '../ids.ts';
import type { Capabilities } from './capabilities.ts';
import type { AssignedDeclaration } from './library-ports.ts';

export const SUBSCRIPTIONS_MAX = 200;
const IDENTIFIER = 'com.escapement.subscriptions';

/** What a fleet is asked about most, and nothing that tells of a person: no accounts, no phone numbers. */
const COMMON: readonly string[] = [
  'device.identifier.serial-number',
  'device.identifier.udid',
  'device.model.family',
  'device.model.identifier',
  'device.model.marketing-name',
  'device.model.number',
  'device.operating-system.build-version',
  'device.operating-system.family',
  'device.operating-system.marketing-name',
  'device.operating-system.supplemental.build-version',
  'device.operating-system.supplemental.extra-version',
  'device.operating-system.version',
  'mdm.app',
  'passcode.is-compliant',
  'passcode.is-present',
  'security.certificate.list',
  'security.lockdown-mode',
];

export const DEFAULT_SUBSCRIPTIONS: Readonly<Record<Platform, readonly string[]>> = {
  iOS: [
    ...COMMON,
    'device.power.battery-health',
    'softwareupdate.failure-reason',
    'softwareupdate.install-reason',
    'softwareupdate.install-state',
    'softwareupdate.pending-version',
  ],
  watchOS: COMMON,
};

/** Of a platform that has no list of its own, the default. */
export type Subscriptions = ReadonlyMap<Platform, readonly string[]>;

export function subscriptionDeclarations(
  lists: Subscriptions,
  target: CatalogTarget,
  capabilities: Capabilities,
  catalog: KindCatalog,
): readonly AssignedDeclaration[] {
  const names = (lists.get(target.platform) ?? DEFAULT_SUBSCRIPTIONS[target.platform]).filter((name) => {
    const entry = catalog.find(name);
    return (entry === null || entryUnsupported(entry, target) === null) && capabilities.reports(name);
  });
  if (names.length === 0) return [];
  const items = [...new Set(names)].sort().map((Name) => ({ Name }));
  return [
    {
      kind: 'configuration',
      identifier: IDENTIFIER,
      type: 'com.apple.configuration.management.status-subscriptions',
      content: { payload: { StatusItems: items }, templated: false, salt: null },
    },
    {
      kind: 'activation',
      identifier: `${IDENTIFIER}.activation`,
      type: 'com.apple.activation.simple',
      content: { payload: { StandardConfigurations: [IDENTIFIER] }, templated: false, salt: null },
    },
  ];
}
