/**
 * The table of policy keys: which of two values is stricter, and by what authority. One row may be spelled in several
 * payloads (a passcode policy as a profile and as a declaration), and is then merged over all of them.
 *
 * Sources: the payload and configuration files of Apple's schema, by their `combine` and by what they say a value does
 * (facts 15); facts 13 for what siri.settings replaces. Where nobody says which value is stricter the key is here with
 * `null`: it is shown and no value is claimed. Zeroes: a grace period of 0 is documented as none, the strictest;
 * an idle time and an age of 0 are in range and not documented, and count as "no limit", so that nothing is claimed
 * which may not hold.
 */
import type { Prefers } from '../admin/policy-services.ts';

export const RESTRICTIONS = 'com.apple.applicationaccess';
export const PASSWORD_POLICY = 'com.apple.mobiledevice.passwordpolicy';
export const PASSCODE_SETTINGS = 'com.apple.configuration.passcode.settings';
export const SIRI_SETTINGS = 'com.apple.configuration.siri.settings';
export const MANAGED_VPN = 'com.apple.vpn.managed';
export const ALWAYS_ON_VPN = 'com.apple.configuration.network.vpn.always-on';
/** A profile in a declaration; the interactive one is the user's to install. */
export const LEGACY_TYPES: ReadonlySet<string> = new Set([
  'com.apple.configuration.legacy',
  'com.apple.configuration.legacy.interactive',
]);

/** Payloads of a profile that are opened: all others stay closed. */
export const POLICY_PAYLOADS: readonly string[] = [RESTRICTIONS, PASSWORD_POLICY, MANAGED_VPN];

/**
 * Configurations that set rules, merged by the schema's `combine`. Of watchOS the first two; of `combined` ones these
 * are left out: status subscriptions (not a rule) and Safari bookmarks (content).
 */
export const POLICY_CONFIGURATIONS: ReadonlySet<string> = new Set([
  PASSCODE_SETTINGS,
  SIRI_SETTINGS,
  ...[
    'app.settings',
    'audio-accessory.settings',
    'external-intelligence.settings',
    'intelligence.settings',
    'keyboard.settings',
    'math.settings',
    'safari.extensions.settings',
    'safari.settings',
    'softwareupdate.settings',
  ].map((name) => `com.apple.configuration.${name}`),
]);

/** Keys of the iPhone about its watches, which the watch shows though it does not know them (facts 13). */
export const ABOUT_WATCHES: ReadonlySet<string> = new Set(['allowPairedWatch', 'allowAutoUnlock']);
/** Documented to reach the paired watch; of every other restriction only "may be mirrored" is known (facts 13, 17). */
export const SURELY_MIRRORED: ReadonlySet<string> = new Set(['forceWatchWristDetection']);

export interface Direction {
  /** Null when nobody says. */
  readonly prefers: Prefers | null;
  readonly source: string;
  /** 0 stands for "no limit". */
  readonly zeroIsNone?: true;
}

export interface PasscodeKey extends Direction {
  /** In passcode.settings. */
  readonly declared: string;
  /** True there is false here. */
  readonly negated?: true;
}

const passcode = (declared: string, prefers: Prefers, source: string): PasscodeKey => ({
  declared,
  prefers,
  source,
});

/** By the key of the password policy payload, which is the row's name. */
export const PASSCODE: Readonly<Record<string, PasscodeKey>> = {
  forcePIN: passcode('RequirePasscode', 'true', 'passcode.settings: boolean-or'),
  requireAlphanumeric: passcode('RequireAlphanumericPasscode', 'true', 'passcode.settings: boolean-or'),
  // A complex passcode also has a character that is neither letter nor digit: more than `allowSimple` false asks for.
  allowSimple: {
    ...passcode('RequireComplexPasscode', 'false', 'passcode.settings: boolean-or, of its opposite'),
    negated: true,
  },
  minLength: passcode('MinimumLength', 'larger', 'passcode.settings: number-max'),
  minComplexChars: passcode('MinimumComplexCharacters', 'larger', 'passcode.settings: number-max'),
  maxFailedAttempts: passcode('MaximumFailedAttempts', 'smaller', 'passcode.settings: number-min'),
  maxGracePeriod: passcode(
    'MaximumGracePeriodInMinutes',
    'smaller',
    'passcode.settings: number-min; 0 is no grace period',
  ),
  maxInactivity: {
    ...passcode('MaximumInactivityInMinutes', 'smaller', 'passcode.settings: number-min; 0 undocumented'),
    zeroIsNone: true,
  },
  maxPINAgeInDays: {
    ...passcode('MaximumPasscodeAgeInDays', 'smaller', 'passcode.settings: number-min; 0 undocumented'),
    zeroIsNone: true,
  },
  // Apple's schema combines declarations by number-min, though the longer history is the stricter one.
  pinHistory: passcode('PasscodeReuseLimit', 'larger', 'passwordpolicy: the last N must differ'),
};

/** By the key of passcode.settings. */
export const DECLARED_PASSCODE: ReadonlyMap<string, string> = new Map(
  Object.entries(PASSCODE).map(([key, { declared }]) => [declared, key]),
);

/** Keys of siri.settings and the restrictions that they replace (facts 13). Its other keys stand for themselves. */
export const SIRI_RESTRICTIONS: ReadonlyMap<string, string> = new Map([
  ['AllowUserGeneratedContent', 'allowAssistantUserGeneratedContent'],
  ['AllowWhileLocked', 'allowAssistantWhileLocked'],
]);

const restriction = (prefers: Prefers | null, source: string): Direction => ({ prefers, source });
const undecided = (why: string) => restriction(null, why);

/** Restrictions that the convention of their names does not decide. */
const RESTRICTION: Readonly<Record<string, Direction>> = {
  // True is the safer value, and which one an iPhone takes of two is not documented.
  allowUSBRestrictedMode: undecided('applicationaccess: false takes a protection away'),
  allowListedAppBundleIDs: restriction('intersection', 'applicationaccess: only these apps'),
  whitelistedAppBundleIDs: restriction('intersection', 'applicationaccess: only these apps'),
  blockedAppBundleIDs: restriction('union', 'applicationaccess: none of these apps'),
  blacklistedAppBundleIDs: restriction('union', 'applicationaccess: none of these apps'),
  autonomousSingleAppModePermittedAppIDs: undecided('applicationaccess: how lists merge is not documented'),
  enforcedSoftwareUpdateDelay: restriction(
    'larger',
    'softwareupdate.settings: CombinedPeriodInDays number-max',
  ),
  ratingApps: restriction('smaller', 'applicationaccess: the highest rating allowed'),
  ratingMovies: restriction('smaller', 'applicationaccess: the highest rating allowed'),
  ratingTVShows: restriction('smaller', 'applicationaccess: the highest rating allowed'),
  ratingRegion: undecided('applicationaccess: a region is neither strict nor lax'),
  safariAcceptCookies: restriction('smaller', 'applicationaccess: 0 is never, 2 is always'),
  safariAllowAutoFill: restriction('false', 'applicationaccess: named allow'),
  safariAllowJavaScript: restriction('false', 'applicationaccess: named allow'),
  safariAllowPopups: restriction('false', 'applicationaccess: named allow'),
  safariForceFraudWarning: restriction('true', 'applicationaccess: named force'),
  requireManagedPasteboard: restriction('true', 'applicationaccess: named require'),
};

/** The convention of Apple's names, for keys that the catalog has as booleans. */
const CONVENTION: readonly (readonly [RegExp, Direction])[] = [
  [/^allow/, restriction('false', 'applicationaccess: named allow')],
  [/^force/, restriction('true', 'applicationaccess: named force')],
];

/** What a restriction's values are worth; `boolean` says whether the catalog knows it, as a boolean. */
export function restrictionDirection(key: string, boolean: boolean): Direction {
  const listed = Object.hasOwn(RESTRICTION, key) ? RESTRICTION[key] : undefined;
  if (listed !== undefined) return listed;
  const convention = boolean ? CONVENTION.find(([name]) => name.test(key)) : undefined;
  return convention?.[1] ?? undecided('not in the catalog');
}
