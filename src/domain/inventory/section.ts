/**
 * What the inventory of a device consists of, which query fills each part, and how much of it one query asks for.
 * The request decides whether its answer replaces a part or adds to it: an answer does not say what was not asked.
 */
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';

const SECTION_OF = {
  DeviceInformation: 'device',
  SecurityInfo: 'security',
  ProfileList: 'profiles',
  ProvisioningProfileList: 'provisioning-profiles',
  CertificateList: 'certificates',
  InstalledApplicationList: 'installed-applications',
  ManagedApplicationList: 'managed-applications',
  ManagedApplicationAttributes: 'application-attributes',
  ManagedApplicationConfiguration: 'application-configurations',
  Restrictions: 'restrictions',
} as const;

export type InventoryRequest = keyof typeof SECTION_OF;
export type InventorySection = (typeof SECTION_OF)[InventoryRequest];

export const INVENTORY_SECTIONS: readonly InventorySection[] = Object.values(SECTION_OF);

/** Of names in a scope. A request with more is taken as one for some items, whichever they are. */
const SCOPE_CHARS_MAX = 16 * 1024;

/** Null for a command whose answer is no part of the inventory. */
export function sectionOf(requestType: string): InventorySection | null {
  return Object.hasOwn(SECTION_OF, requestType) ? SECTION_OF[requestType as InventoryRequest] : null;
}

export function requestOf(section: InventorySection): InventoryRequest {
  const [found] = Object.entries(SECTION_OF).filter(([, own]) => own === section);
  return (found as [InventoryRequest, InventorySection])[0];
}

/**
 * How much a query asks for, as JSON that two equal queries have in common: `all` of a section, or some of it. `named`
 * are items that the device does not have when the answer leaves them out. Null where the answer is left alone.
 */
export function inventoryScope(requestType: string, command: PlistDict): string | null {
  switch (requestType) {
    case 'SecurityInfo':
      return scope({ all: true });
    case 'DeviceInformation':
      return scope({ all: false, queries: texts(command, 'Queries') ?? [] });
    case 'ProfileList':
    case 'ProvisioningProfileList':
    case 'CertificateList':
      return scope({ all: command.get('ManagedOnly') !== true });
    case 'Restrictions':
      return scope({ all: command.get('ProfileRestrictions') === true });
    case 'InstalledApplicationList':
      // Only some keys of each application: less than what may be known of it.
      return command.has('Items') ? null : applications(command, command.get('ManagedAppsOnly') === true);
    case 'ManagedApplicationList':
    case 'ManagedApplicationAttributes':
    case 'ManagedApplicationConfiguration':
      return applications(command, false);
    default:
      return null;
  }
}

function applications(command: PlistDict, managedOnly: boolean): string {
  const named = texts(command, 'Identifiers');
  if (named === null) return scope({ all: !managedOnly });
  // One that is left out may be installed all the same, unmanaged.
  return managedOnly ? scope({ all: false }) : scope({ all: false, named });
}

function texts(command: PlistDict, key: string): string[] | null {
  const value = command.get(key);
  if (!Array.isArray(value)) return null;
  return [...new Set(value.filter((item) => typeof item === 'string'))].sort();
}

function scope(asked: JsonObject): string {
  const text = canonicalJson(asked);
  return text.length > SCOPE_CHARS_MAX ? canonicalJson({ all: false }) : text;
}
