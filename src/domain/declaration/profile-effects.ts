/**
 * What a profile on an iPhone does to its watch (facts 13): restrictions that forbid a paired watch unpair and erase it,
 * managed here or not; with Always-On VPN no watch can be paired, and a paired one loses what it sends through the
 * phone. A profile that cannot be read has no effects: it is refused where it is checked.
 */
import { type JsonObject, type JsonValue, plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import { payloadsOf } from '../profile/judge.ts';
import { parseProfile } from './profile-content.ts';

export interface ProfileEffects {
  readonly forbidsPairedWatch: boolean;
  readonly alwaysOnVpn: boolean;
}

/** An order for many devices asks for the same bytes again and again. */
const known = new WeakMap<Bytes, ProfileEffects>();

export function effectsOfProfile(bytes: Bytes): ProfileEffects {
  const effects = known.get(bytes) ?? readEffects(bytes);
  known.set(bytes, effects);
  return effects;
}

function readEffects(bytes: Bytes): ProfileEffects {
  const profile = parseProfile(bytes);
  return profile.ok ? effectsOf(profile.value) : { forbidsPairedWatch: false, alwaysOnVpn: false };
}

export function effectsOf(profile: PlistDict): ProfileEffects {
  const payloads = payloadsOf(plistToJson(profile) as JsonObject);
  const some = (type: string, key: string, value: JsonValue) =>
    payloads.some((payload) => payload['PayloadType'] === type && payload[key] === value);
  return {
    forbidsPairedWatch: some('com.apple.applicationaccess', 'allowPairedWatch', false),
    alwaysOnVpn: some('com.apple.vpn.managed', 'VPNType', 'AlwaysOn'),
  };
}
