/**
 * What the sources of a device say, key by key, judged by the catalog for that device; and what of an iPhone's rules
 * reaches a watch: only keys that watchOS has are mirrored values (facts 0.10, 13, 17).
 */
import type { CatalogEntry } from '../../protocol/catalog/entry.ts';
import {
  type CatalogTarget,
  entryUnsupported,
  keyUnsupported,
  type Unsupported,
} from '../../protocol/catalog/support.ts';
import { compareVersions, isVersion } from '../../protocol/catalog/version.ts';
import type { NotCounting, PolicyOrigin } from '../admin/policy-services.ts';
import type { DeviceDescription } from '../enrollment/device.ts';
import { ABOUT_WATCHES, MANAGED_VPN } from './keys.ts';
import { type Contribution, isMalformed } from './merge.ts';
import { type PolicyCatalog, type RowKey, type Setting, settingsOf, spellingsOf } from './settings.ts';
import type { PolicySource } from './sources.ts';

export interface Judged extends Contribution {
  readonly source: PolicySource;
  readonly unsupported: Unsupported | null;
  /** Since which version its key is deprecated for this device. */
  readonly deprecatedSince: string | null;
}

export interface Contributions {
  readonly judged: readonly Judged[];
  /** Sources that had more keys than are looked at. */
  readonly cut: readonly PolicyOrigin[];
}

export function targetOf(
  device: Pick<DeviceDescription, 'platform' | 'osVersion' | 'supervised'>,
): CatalogTarget {
  return {
    platform: device.platform,
    osVersion: device.osVersion,
    supervised: device.supervised,
    enrollment: 'device',
  };
}

/** VPN payloads are no rows: what matters of them is a warning. */
export function contributionsOf(
  sources: readonly PolicySource[],
  target: CatalogTarget,
  catalog: PolicyCatalog,
): Contributions {
  const judged: Judged[] = [];
  const cut: PolicyOrigin[] = [];
  for (const source of sources)
    for (const { type, values } of source.payloads) {
      if (type === MANAGED_VPN || catalog.find(type)?.apply === 'single') continue;
      const read = settingsOf(type, values, catalog);
      if (read.cut) cut.push(source.origin);
      const entry = catalog.find(type);
      for (const setting of read.settings) judged.push(judge(setting, source, entry, target));
    }
  return { judged, cut };
}

function judge(
  setting: Setting,
  source: PolicySource,
  entry: CatalogEntry | null,
  target: CatalogTarget,
): Judged {
  const { known } = setting;
  const unsupported =
    (entry === null ? null : entryUnsupported(entry, target)) ??
    (known === null ? null : keyUnsupported(known, target));
  const because: NotCounting | null =
    source.because ?? (unsupported !== null ? 'unsupported' : isMalformed(setting) ? 'malformed' : null);
  const deprecated = known?.platforms?.[target.platform]?.deprecated;
  const { osVersion } = target;
  const since = deprecated !== undefined && isAtLeast(osVersion ?? null, deprecated) ? deprecated : null;
  return { setting, origin: source.origin, because, source, unsupported, deprecatedSince: since };
}

function isAtLeast(version: string | null, since: string): boolean {
  return version !== null && isVersion(version) && compareVersions(version, since) >= 0;
}

/** How a row of the iPhone shows on a watch: null when it does not. */
export function reachOf(
  row: Pick<RowKey, 'domain' | 'key'>,
  watch: CatalogTarget,
  catalog: PolicyCatalog,
): 'mirror' | 'phone' | null {
  if (row.domain === 'restrictions' && ABOUT_WATCHES.has(row.key)) return 'phone';
  const exists = spellingsOf(row).some(([type, key]) => {
    const entry = catalog.find(type);
    const known = entry?.keys?.find((one) => one.name === key);
    if (entry == null || known === undefined) return false;
    return entryUnsupported(entry, watch) === null && keyUnsupported(known, watch) === null;
  });
  return exists ? 'mirror' : null;
}

/** What of the iPhone's contributions a watch shows, each as it reaches it. */
export function mirrored(
  phone: readonly Judged[],
  watch: CatalogTarget,
  catalog: PolicyCatalog,
): readonly Judged[] {
  return phone.flatMap((one) => {
    const via = one.because === null ? reachOf(one.setting.row, watch, catalog) : null;
    return via === null ? [] : [{ ...one, origin: { ...one.origin, via } }];
  });
}
