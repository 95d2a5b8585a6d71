/**
 * Rules of the passcode policy and of restrictions (facts 13, 15). Each key is the catalog's to judge, per platform;
 * here is what follows from one that is set on the watch for the iPhone's rules. What ends the pairing is warned of in
 * any profile (warnings.ts).
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { PlacedFindings } from './findings.ts';

export function judgePasscode(keys: JsonObject, found: PlacedFindings): void {
  const names = Object.keys(keys);
  if (names.length === 0) found.problem('', 'needed', 'at least one rule');
  if (names.length > 0 && keys['forcePIN'] !== true) {
    const expected = 'true: without it a device that has no passcode goes on without';
    found.warning('forcePIN', 'ignored', expected);
  }
  const mirrored = 'known: a managed watch of this iPhone asks for a passcode, too';
  if (keys['forcePIN'] === true) found.warningOn('iOS', 'forcePIN', 'mirrored', mirrored);
  const unlocks = 'known: a watch of this iPhone is then unlocked with the iPhone only';
  if (keys['requireAlphanumeric'] === true)
    found.warningOn('iOS', 'requireAlphanumeric', 'mirrored', unlocks);
}

export function judgeRestrictions(keys: JsonObject, found: PlacedFindings): void {
  if (Object.keys(keys).length === 0) found.problem('', 'needed', 'at least one restriction');
}
