/**
 * The keys of a payload against the catalog, on the platforms that the profile may meet. In a profile for one platform
 * what that lacks is a problem; in a profile for any, what only one has is a warning that names the other.
 */
import type { CatalogEntry, PlatformRule } from '../../protocol/catalog/entry.ts';
import { type ContentProblem, validate } from '../../protocol/catalog/validate.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { Platform } from '../ids.ts';
import type { Finding, Findings, PlacedFindings } from './findings.ts';

/** What does the same where a type is missing (facts 12). */
const INSTEAD: Readonly<Record<string, string>> = {
  'com.apple.vpn.managed': 'com.apple.vpn.managed.applayer',
  'com.apple.apn.managed': 'com.apple.cellular',
};

export interface Judged {
  readonly type: string;
  readonly content: JsonObject;
  readonly allowUnknown: boolean;
  /** Where a path of the catalog is in the input. */
  readonly placeOf: (path: string) => string;
}

export async function judgeByCatalog(judged: Judged, all: Findings): Promise<void> {
  const { type, content, allowUnknown, placeOf } = judged;
  const problemsOn = async (platform: Platform | null): Promise<readonly ContentProblem[]> => {
    const target = platform === null ? undefined : { platform };
    const valid = await validate('profile', type, content, target, { allowUnknown });
    return valid.ok ? [] : valid.refusal.problems;
  };
  const placed = ({ path, rule, expected }: ContentProblem): Finding => {
    const instead = rule === 'platform' && path === 'PayloadType' ? INSTEAD[type] : undefined;
    const words = instead === undefined ? expected : `${expected}; ${instead} is`;
    return { path: placeOf(path), rule, expected: words };
  };
  const problems = await problemsOn(all.platform);
  for (const problem of problems) all.problem(placed(problem));
  if (all.platform === null && problems.length === 0) {
    for (const platform of all.platforms) {
      for (const problem of await problemsOn(platform)) all.warning({ ...placed(problem), platform });
    }
  }
}

/** Of the type and its own keys; what is nested is seldom deprecated and never alone. */
export function warnOfDeprecation(
  entry: CatalogEntry,
  keys: JsonObject,
  found: PlacedFindings,
  typePath: string,
): void {
  const { all } = found;
  for (const platform of all.platforms) {
    const since = (rule: PlatformRule | null | undefined) => rule?.removed ?? rule?.deprecated;
    const words = (rule: PlatformRule) =>
      `something else: ${rule.removed === undefined ? 'deprecated' : 'removed'} in ${platform} ${since(rule)}`;
    const whole = entry.platforms[platform];
    if (whole !== undefined && since(whole) !== undefined)
      all.warning({ path: typePath, rule: 'deprecated', expected: words(whole), platform });
    for (const key of entry.keys ?? []) {
      const rule = Object.hasOwn(keys, key.name) ? key.platforms?.[platform] : undefined;
      if (rule && since(rule) !== undefined) found.warningOn(platform, key.name, 'deprecated', words(rule));
    }
  }
}
