/**
 * A configuration profile against the catalog: as such, and for a platform or one device. A device may take a profile
 * and pass over what it does not know in it, and an administrator would believe a rule in force that is not; so every
 * key that the catalog denies a platform counts against the whole profile there. What only deserves a look is a
 * warning and hinders nothing.
 */
import type { CatalogTarget } from '../../protocol/catalog/support.ts';
import { type ContentProblem, PROBLEMS_MAX, validate } from '../../protocol/catalog/validate.ts';
import { type JsonObject, type JsonValue, plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Platform } from '../ids.ts';

export interface Fitness {
  readonly ok: boolean;
  readonly problems: readonly ContentProblem[];
}

export type Fitnesses = Readonly<Record<Platform, Fitness>>;

/** `com.apple.declarations` is for installation by hand, never by a server (facts 12). */
const BY_HAND = 'com.apple.declarations';
/** `TargetDeviceType`: 0 is any, 2 an Apple Watch (facts 6). */
const ANY_DEVICE = 0;
const WATCH = 2;

/** What is wrong with the content, for anyone (no target) or for this device. */
export async function profileProblems(
  profile: JsonObject,
  allowUnknown: boolean,
  target?: CatalogTarget,
): Promise<readonly ContentProblem[]> {
  const top = await validate('profile', 'TopLevel', profile, target, { allowUnknown });
  const problems: ContentProblem[] = top.ok ? [] : [...top.refusal.problems];
  const content = profile['PayloadContent'];
  for (const [index, payload] of (Array.isArray(content) ? content : []).entries()) {
    if (problems.length >= PROBLEMS_MAX) break;
    problems.push(...(await payloadProblems(payload, `PayloadContent[${index}]`, { allowUnknown, target })));
  }
  if (target !== undefined) problems.push(...deliveryProblems(profile, target.platform));
  return problems.slice(0, PROBLEMS_MAX);
}

/** Of a device in general: version and supervision are not held against it. */
export async function fitnessOf(profile: PlistDict, allowUnknown: boolean): Promise<Fitnesses> {
  const content = plistToJson(profile) as JsonObject;
  const on = async (platform: Platform): Promise<Fitness> => {
    const problems = await profileProblems(content, allowUnknown, { platform });
    return { ok: problems.length === 0, problems };
  };
  return { iOS: await on('iOS'), watchOS: await on('watchOS') };
}

async function payloadProblems(
  payload: JsonValue,
  path: string,
  { allowUnknown, target }: { readonly allowUnknown: boolean; readonly target: CatalogTarget | undefined },
): Promise<readonly ContentProblem[]> {
  // What is no dictionary was found so above it.
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return [];
  const type = payload['PayloadType'];
  if (typeof type !== 'string')
    return [{ path: `${path}.PayloadType`, rule: 'required', expected: 'a key that must be present' }];
  const valid = await validate('profile', type, payload, target, { allowUnknown });
  if (valid.ok) return [];
  return valid.refusal.problems.map((problem) => ({ ...problem, path: `${path}.${problem.path}` }));
}

function deliveryProblems(profile: JsonObject, platform: Platform): readonly ContentProblem[] {
  const problems: ContentProblem[] = [];
  for (const [index, payload] of payloadsOf(profile).entries()) {
    if (payload['PayloadType'] !== BY_HAND) continue;
    const path = `PayloadContent[${index}].PayloadType`;
    problems.push({ path, rule: 'enrollment', expected: 'a payload that servers may install' });
  }
  const wanted = profile['TargetDeviceType'] ?? ANY_DEVICE;
  if (wanted !== ANY_DEVICE && (wanted === WATCH) !== (platform === 'watchOS'))
    problems.push({ path: 'TargetDeviceType', rule: 'platform', expected: `one that has ${platform}` });
  return problems;
}

/** Those that are dictionaries. */
export function payloadsOf(profile: JsonObject): readonly JsonObject[] {
  const content = profile['PayloadContent'];
  if (!Array.isArray(content)) return [];
  return content.filter(
    (one): one is JsonObject => typeof one === 'object' && one !== null && !Array.isArray(one),
  );
}
