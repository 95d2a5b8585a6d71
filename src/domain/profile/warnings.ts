/** What an administrator should look at in a profile that was taken all the same. */
import { findEntry } from '../../protocol/catalog/catalog.ts';
import { type JsonObject, plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import { payloadsOf } from './judge.ts';

export interface ProfileWarning {
  readonly rule:
    | 'duplicate-payload-uuid'
    | 'duplicate-payload-identifier'
    | 'several-passcode-payloads'
    | 'single-payload-repeated'
    | 'unpairs-watches'
    | 'always-on-vpn'
    | 'ends-by-itself';
  readonly path: string;
  /** For people. */
  readonly expected: string;
}

const PASSCODE = 'com.apple.mobiledevice.passwordpolicy';
const RESTRICTIONS = 'com.apple.applicationaccess';
const VPN = 'com.apple.vpn.managed';
/** A profile can say the same mistake a thousand times. */
const WARNINGS_MAX = 32;

export function warningsOf(profile: PlistDict): Promise<readonly ProfileWarning[]> {
  return warningsIn(plistToJson(profile) as JsonObject);
}

export async function warningsIn(content: JsonObject): Promise<readonly ProfileWarning[]> {
  const payloads = payloadsOf(content);
  const types = payloads.map((payload) => payload['PayloadType']);
  const warnings = [
    ...repeats(content, payloads, 'PayloadUUID', 'duplicate-payload-uuid'),
    ...repeats(content, payloads, 'PayloadIdentifier', 'duplicate-payload-identifier'),
    ...(await repeatedTypes(types)),
    ...payloads.flatMap((payload, index) => graveOf(payload, `PayloadContent[${index}]`)),
    ...['RemovalDate', 'DurationUntilRemoval', 'PayloadExpirationDate']
      .filter((key) => content[key] !== undefined)
      .map((path) => warning('ends-by-itself', path, 'The device may drop the profile without being told.')),
  ];
  return warnings.slice(0, WARNINGS_MAX);
}

function isWatchBan(payload: JsonObject): boolean {
  return payload['PayloadType'] === RESTRICTIONS && payload['allowPairedWatch'] === false;
}

function repeats(
  profile: JsonObject,
  payloads: readonly JsonObject[],
  key: 'PayloadUUID' | 'PayloadIdentifier',
  rule: ProfileWarning['rule'],
): readonly ProfileWarning[] {
  const seen = new Set([profile[key]]);
  return payloads.flatMap((payload, index) => {
    const again = seen.has(payload[key]);
    seen.add(payload[key]);
    const path = `PayloadContent[${index}].${key}`;
    return again ? [warning(rule, path, 'Another payload has it, or the profile itself.')] : [];
  });
}

async function repeatedTypes(types: readonly unknown[]): Promise<readonly ProfileWarning[]> {
  const warnings: ProfileWarning[] = [];
  for (const [index, type] of types.entries()) {
    if (typeof type !== 'string' || types.indexOf(type) === index) continue;
    const path = `PayloadContent[${index}].PayloadType`;
    const platforms = (await findEntry('profile', type))?.platforms;
    if (type === PASSCODE)
      warnings.push(
        warning('several-passcode-payloads', path, 'The device merges them: the strictest of each rule.'),
      );
    else if (platforms !== undefined && Object.values(platforms).some((rule) => rule.multiple !== true))
      warnings.push(
        warning('single-payload-repeated', path, 'A device may have one payload of this type only.'),
      );
  }
  return warnings;
}

function graveOf(payload: JsonObject, path: string): readonly ProfileWarning[] {
  if (isWatchBan(payload))
    return [
      warning(
        'unpairs-watches',
        `${path}.allowPairedWatch`,
        'It unpairs and erases the watches of an iPhone.',
      ),
    ];
  const alwaysOn = payload['PayloadType'] === VPN && payload['VPNType'] === 'AlwaysOn';
  return alwaysOn
    ? [warning('always-on-vpn', `${path}.VPNType`, 'Watches cannot pair, and paired ones lose the network.')]
    : [];
}

function warning(rule: ProfileWarning['rule'], path: string, expected: string): ProfileWarning {
  return { rule, path, expected };
}
