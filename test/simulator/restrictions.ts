/**
 * Restrictions and passcode rules in force: what profiles and declarations ask for, merged key by key, the most
 * restrictive winning, and on a watch also what its iPhone syncs to it (facts 13). Which iPhone restrictions reach a
 * watch is not documented; here it is each that a watch knows.
 */
import type { DeviceFacts } from './facts.ts';
import { isDict, type Plist, type PlistDict } from './plist.ts';

export const RESTRICTIONS = 'com.apple.applicationaccess';
export const PASSCODE = 'com.apple.mobiledevice.passwordpolicy';

/** Facts 13; true needs supervision. */
const WATCH_RESTRICTIONS: Readonly<Record<string, boolean>> = {
  allowAccountModification: true,
  allowAppInstallation: true,
  allowAppRemoval: true,
  allowAssistantUserGeneratedContent: true,
  allowAssistantWhileLocked: false,
  allowAutomaticAppDownloads: true,
  allowDiagnosticSubmission: false,
  allowLockScreenNotificationsView: false,
  allowScreenShot: false,
  allowUIAppInstallation: true,
  forceOnDeviceOnlyDictation: false,
  forceOnDeviceOnlyTranslation: false,
  forceWatchWristDetection: false,
};

/** How two values of a passcode rule become one; any other number takes the smaller. */
const LARGER_WINS = ['minLength', 'pinHistory', 'minComplexChars'];
const NOT_ON_WATCH = ['minComplexChars', 'requireAlphanumeric'];

/** `com.apple.configuration.passcode.settings` in the words of the payload. */
const DECLARED_RULES: Readonly<Record<string, string>> = {
  RequirePasscode: 'forcePIN',
  RequireAlphanumericPasscode: 'requireAlphanumeric',
  MinimumLength: 'minLength',
  MinimumComplexCharacters: 'minComplexChars',
  MaximumFailedAttempts: 'maxFailedAttempts',
  MaximumGracePeriodInMinutes: 'maxGracePeriod',
  MaximumInactivityInMinutes: 'maxInactivity',
  MaximumPasscodeAgeInDays: 'maxPINAgeInDays',
  PasscodeReuseLimit: 'pinHistory',
};

/** In the shape of the Restrictions command. */
export type InForce = Record<'restrictedBool' | 'restrictedValue' | 'intersection' | 'union', PlistDict>;

export function payloadsOf(profile: PlistDict): PlistDict[] {
  const content = profile['PayloadContent'];
  return Array.isArray(content) ? content.filter(isDict) : [];
}

/** Of everything on the device, and of the iPhone for its watch. */
export function globalRestrictions(facts: DeviceFacts): PlistDict {
  const merged = emptySet();
  for (const profile of [...facts.profiles.values(), ...facts.declaredProfiles()])
    add(merged, facts, profile);
  for (const rules of facts.declaredPasscode()) addRules(merged, facts, declaredRules(rules));
  if (facts.host !== null) {
    for (const profile of [...facts.host.profiles.values(), ...facts.host.declaredProfiles()])
      add(merged, facts, profile);
    for (const rules of facts.host.declaredPasscode()) addRules(merged, facts, declaredRules(rules));
  }
  return shown(merged);
}

/** On a supervised iPhone; its watches are unpaired and erased then (facts 13). */
export function forbidsPairedWatch(facts: DeviceFacts): boolean {
  const bools = globalRestrictions(facts)['restrictedBool'];
  const rule = isDict(bools) ? bools['allowPairedWatch'] : undefined;
  return facts.supervised && isDict(rule) && rule['value'] === false;
}

/** By profile, of those that restrict something. What the iPhone syncs belongs to none of them. */
export function profileRestrictions(facts: DeviceFacts): PlistDict {
  const each = [...facts.profiles.values(), ...facts.declaredProfiles()].flatMap((profile) => {
    const merged = emptySet();
    add(merged, facts, profile);
    return isEmpty(merged) ? [] : [[String(profile['PayloadIdentifier']), shown(merged)] as const];
  });
  return Object.fromEntries(each);
}

export type PasscodeRules = Readonly<Record<string, Plist>>;

/** `own` leaves out declarations and the iPhone: what `PasscodeCompliantWithProfiles` is about. */
export function passcodeRules(facts: DeviceFacts, which: 'own-profiles' | 'all' = 'all'): PasscodeRules {
  const merged = emptySet();
  const from = (one: DeviceFacts) => {
    const profiles =
      which === 'all' ? [...one.profiles.values(), ...one.declaredProfiles()] : one.profiles.values();
    for (const profile of profiles) {
      for (const payload of payloadsOf(profile))
        if (payload['PayloadType'] === PASSCODE) addRules(merged, facts, payload);
    }
    if (which === 'all')
      for (const rules of one.declaredPasscode()) addRules(merged, facts, declaredRules(rules));
  };
  from(facts);
  if (which === 'all' && facts.host !== null) from(facts.host);
  const value = ([name, one]: [string, Plist]): [string, Plist] => [name, (one as PlistDict)['value']!];
  return Object.fromEntries(
    [...Object.entries(merged.restrictedBool), ...Object.entries(merged.restrictedValue)].map(value),
  );
}

export function passcodeComplies(facts: DeviceFacts, which: 'own-profiles' | 'all' = 'all'): boolean {
  const rules = passcodeRules(facts, which);
  if (!facts.passcode) return rules['forcePIN'] !== true;
  const { length, simple, alphanumeric, complexCharacters } = facts.shape;
  return (
    facts.compliant &&
    length >= Number(rules['minLength'] ?? 0) &&
    !(simple && rules['allowSimple'] === false) &&
    (alphanumeric || rules['requireAlphanumeric'] !== true) &&
    complexCharacters >= Number(rules['minComplexChars'] ?? 0)
  );
}

function emptySet(): InForce {
  return { restrictedBool: {}, restrictedValue: {}, intersection: {}, union: {} };
}

function isEmpty(set: InForce): boolean {
  return Object.values(set).every((each) => Object.keys(each).length === 0);
}

function shown(set: InForce): PlistDict {
  const optional = Object.entries(set).filter(
    ([name, each]) => name.startsWith('restricted') || Object.keys(each).length > 0,
  );
  return Object.fromEntries(optional);
}

function add(into: InForce, facts: DeviceFacts, profile: PlistDict): void {
  for (const payload of payloadsOf(profile)) {
    if (payload['PayloadType'] === PASSCODE) addRules(into, facts, payload);
    if (payload['PayloadType'] === RESTRICTIONS) addRestrictions(into, facts, payload);
  }
}

function addRestrictions(into: InForce, facts: DeviceFacts, payload: PlistDict): void {
  for (const [name, value] of Object.entries(payload)) {
    if (name.startsWith('Payload') || !takes(facts, name)) continue;
    if (typeof value === 'boolean') addBool(into, name, value);
    if (typeof value === 'number') addNumber(into, name, value);
    if (Array.isArray(value)) addList(into, name, value.map(String));
  }
}

function takes({ family, supervised }: DeviceFacts, name: string): boolean {
  if (family !== 'Watch') return true;
  const needsSupervision = WATCH_RESTRICTIONS[name];
  return needsSupervision !== undefined && (supervised || !needsSupervision);
}

function addRules(into: InForce, { family }: DeviceFacts, rules: PlistDict): void {
  for (const [name, value] of Object.entries(rules)) {
    if (name.startsWith('Payload') || (family === 'Watch' && NOT_ON_WATCH.includes(name))) continue;
    if (typeof value === 'boolean') addBool(into, name, value);
    if (typeof value === 'number') addNumber(into, name, value);
  }
}

function declaredRules(declared: Readonly<Record<string, unknown>>): PlistDict {
  const rules: PlistDict = {};
  for (const [name, value] of Object.entries(declared)) {
    const known = DECLARED_RULES[name];
    if (known !== undefined && (typeof value === 'boolean' || typeof value === 'number'))
      rules[known] = value;
  }
  if (declared['RequireComplexPasscode'] === true) rules['allowSimple'] = false;
  return rules;
}

/** `allow…` forbids once any says false; `force…` and `require…` demand once any says true. */
function addBool(into: InForce, name: string, value: boolean): void {
  const before = (into.restrictedBool[name] as PlistDict | undefined)?.['value'];
  const strict = !name.startsWith('allow');
  into.restrictedBool[name] = { value: before === undefined ? value : before === strict ? strict : value };
}

function addNumber(into: InForce, name: string, value: number): void {
  const before = (into.restrictedValue[name] as PlistDict | undefined)?.['value'];
  const better = LARGER_WINS.includes(name) ? Math.max : Math.min;
  into.restrictedValue[name] = { value: typeof before === 'number' ? better(before, value) : value };
}

/** What is allowed shrinks, what is blocked grows. */
function addList(into: InForce, name: string, values: readonly string[]): void {
  const grows = name.startsWith('block');
  const group = grows ? into.union : into.intersection;
  const before = (group[name] as PlistDict | undefined)?.['values'];
  const held = Array.isArray(before) ? before.map(String) : null;
  const next =
    held === null
      ? [...values]
      : grows
        ? [...new Set([...held, ...values])]
        : held.filter((one) => values.includes(one));
  group[name] = { values: next };
}
