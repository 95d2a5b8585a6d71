/**
 * A configuration profile against the catalog: as such, and for a platform or one device. A payload type that a device
 * does not have counts against the whole profile there. A key that it does not have is one that it passes over: said,
 * because an administrator would believe it in force, and no hindrance, because one profile may be meant for both
 * platforms.
 */
import type { CatalogTarget, SupportRule } from '../../protocol/catalog/support.ts';
import { type ContentProblem, PROBLEMS_MAX, validate } from '../../protocol/catalog/validate.ts';
import { type JsonObject, type JsonValue, plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Platform } from '../ids.ts';

export interface Fitness {
  readonly ok: boolean;
  /** Why a device of the kind cannot have it. */
  readonly problems: readonly ContentProblem[];
  /** Keys that it does not take. */
  readonly passedOver: readonly ContentProblem[];
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
  return problems.slice(0, PROBLEMS_MAX);
}

/** For one device; or for a platform, when no more is known: version and supervision are not held against it then. */
export async function fitnessFor(
  profile: PlistDict,
  allowUnknown: boolean,
  target: CatalogTarget,
): Promise<Fitness> {
  const content = plistToJson(profile) as JsonObject;
  const found = await profileProblems(content, allowUnknown, target);
  const problems = [...found.filter(hinders), ...deliveryProblems(content, target.platform)];
  return { ok: problems.length === 0, problems, passedOver: found.filter((one) => !hinders(one)) };
}

export async function fitnessOf(profile: PlistDict, allowUnknown: boolean): Promise<Fitnesses> {
  const on = (platform: Platform) => fitnessFor(profile, allowUnknown, { platform });
  return { iOS: await on('iOS'), watchOS: await on('watchOS') };
}

const SUPPORT: ReadonlySet<ContentProblem['rule']> = new Set<SupportRule>([
  'platform',
  'version',
  'supervised',
  'enrollment',
]);

/** A payload's type, or content that no device takes. */
function hinders({ path, rule }: ContentProblem): boolean {
  return !SUPPORT.has(rule) || path.endsWith('].PayloadType');
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
