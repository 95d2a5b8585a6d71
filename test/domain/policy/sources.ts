/** Sources of a policy as tests write them down, and the rows that they come to. */
import type { PolicyOrigin } from '../../../src/domain/admin/policy-services.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { contributionsOf, type Judged, mirrored } from '../../../src/domain/policy/contributions.ts';
import { type MergedRow, mergeRows, nameOf } from '../../../src/domain/policy/merge.ts';
import { loadPolicyCatalog } from '../../../src/domain/policy/settings.ts';
import type { PolicySource } from '../../../src/domain/policy/sources.ts';
import type { CatalogTarget } from '../../../src/protocol/catalog/support.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';

export const catalog = await loadPolicyCatalog();
export const PHONE = 'PHONE-0000000001' as Udid;
export const WATCH = 'WATCH-0000000001' as Udid;
export const WATCH_27: CatalogTarget = { platform: 'watchOS', osVersion: '27.0', supervised: true };
export const PHONE_27: CatalogTarget = { platform: 'iOS', osVersion: '27.0', supervised: true };

export const PASSCODE = 'com.apple.configuration.passcode.settings';
export const POLICY = 'com.apple.mobiledevice.passwordpolicy';
export const RESTRICTIONS = 'com.apple.applicationaccess';
export const SIRI = 'com.apple.configuration.siri.settings';

let made = 0;

/** One payload, on the watch unless told, under a name of its own. */
export function source(
  type: string,
  values: JsonObject,
  over: Partial<PolicyOrigin> & Partial<Omit<PolicySource, 'origin' | 'payloads'>> = {},
): PolicySource {
  made += 1;
  const { because = null, confirmed = null, unread = null, ...origin } = over;
  const declared = type.startsWith('com.apple.configuration.');
  return {
    origin: {
      kind: declared ? 'declaration' : 'profile',
      identifier: `source-${made}`,
      payloadIdentifier: declared ? null : `payload-${made}`,
      device: WATCH,
      via: 'direct',
      ...origin,
    },
    payloads: [{ type, values }],
    because,
    confirmed,
    unread,
  };
}

export function judged(sources: readonly PolicySource[], target = WATCH_27): readonly Judged[] {
  return contributionsOf(sources, target, catalog).judged;
}

/** Of a watch, with what its iPhone has. */
export function rowsOf(
  watch: readonly PolicySource[],
  phone: readonly PolicySource[] = [],
  { watchTarget = WATCH_27, phoneTarget = PHONE_27 } = {},
): ReadonlyMap<string, MergedRow> {
  const theirs = mirrored(judged(phone, phoneTarget), watchTarget, catalog);
  return byName(mergeRows([...judged(watch, watchTarget), ...theirs]));
}

export function byName(rows: readonly MergedRow[]): ReadonlyMap<string, MergedRow> {
  return new Map(rows.map((row) => [nameOf(row), row]));
}
