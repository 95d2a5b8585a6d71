/**
 * What the admin API needs to show the policy of a device: per key what counts, who says so, by which rule it won,
 * and whether the device itself says that it is in force. A view and nothing more: no device is told anything by it.
 */
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { PresumedGone } from '../enrollment/ending.ts';
import type { Platform, Udid } from '../ids.ts';
import type { DeviceState, UnknownDevice } from './services.ts';

/** Who sets a value: a declaration of the device's manifest, or a profile that a command installed. */
export interface PolicyOrigin {
  /** `command`: the profile is stored nowhere but in the command that installed it. */
  readonly kind: 'declaration' | 'profile' | 'command';
  /** Of a command its CommandUUID. */
  readonly identifier: string;
  /** Of the profile that holds the key, its own `PayloadIdentifier`; null where a declaration holds it itself. */
  readonly payloadIdentifier: string | null;
  /** The device that it was given to. */
  readonly device: Udid;
  /** `mirror`: the iPhone hands it to its watch. `phone`: it stays on the iPhone and is about its watches. */
  readonly via: 'direct' | 'mirror' | 'phone';
}

export type NotCounting =
  /** No activation that the device holds names the configuration. */
  | 'not-activated'
  /** The device reports it so. */
  | 'inactive'
  | 'invalid'
  | 'not-installed'
  /** The device is told to remove it. */
  | 'removing'
  /** The device's platform, version or supervision rules the key out. */
  | 'unsupported'
  /** Not of the key's type. */
  | 'malformed';

export interface PolicyContribution {
  readonly origin: PolicyOrigin;
  /** Where it stands: the type of payload or configuration, and the key there. */
  readonly type: string;
  readonly key: string;
  /** The value as it stands there, and as the row has it. */
  readonly said: JsonValue;
  readonly value: JsonValue;
  /** Not written, but meant: passcode rules ask for a passcode. */
  readonly implied: boolean;
  /** Null when it counts. */
  readonly because: NotCounting | null;
  /** Its value is the row's. */
  readonly wins: boolean;
}

/** The value that a key is at its strictest with. */
export type Prefers = 'false' | 'true' | 'smaller' | 'larger' | 'union' | 'intersection';

export type PolicyRule =
  | { readonly kind: 'most-restrictive'; readonly prefers: Prefers }
  /** As Apple's schema merges declarations of the type. */
  | { readonly kind: 'combine'; readonly by: string }
  /** Nobody says which value is stricter. */
  | { readonly kind: 'unknown' };

export interface InForce {
  /** Null when nothing that the device reported tells. */
  readonly value: boolean | null;
  /** The report that tells: a status item, a command's result. */
  readonly by: string | null;
  readonly asOfMs: EpochMs | null;
}

export interface PolicyRow {
  /** `passcode`, `restrictions`, or the type of a configuration whose keys stand for themselves. */
  readonly domain: string;
  readonly key: string;
  /** Null when nothing counts, or what counts cannot be decided between. */
  readonly value: JsonValue;
  readonly decided: boolean;
  /** False when the value rests on what may be mirrored, or on what nobody documents. */
  readonly certain: boolean;
  /** What the device's own sources come to, without what is mirrored to it. */
  readonly own: JsonValue;
  readonly rule: PolicyRule;
  /** Why that rule. */
  readonly source: string;
  /** The first of those that win. */
  readonly origin: PolicyOrigin | null;
  readonly inForce: InForce;
  readonly contributors: readonly PolicyContribution[];
}

export interface ReachedWatch {
  readonly watch: Udid;
  readonly keys: readonly {
    readonly domain: string;
    readonly key: string;
    readonly value: JsonValue;
    readonly via: 'mirror' | 'phone';
    /** False where only "may be mirrored" is known. */
    readonly certain: boolean;
  }[];
}

export type UnreadSource =
  /** The profile is served elsewhere. */
  | 'foreign'
  /** What is stored is not what the manifest names; it follows. */
  | 'changed'
  | 'unreadable'
  /** Of a profile that is on the device and no longer stored. */
  | 'deleted'
  /** More than one answer opens. */
  | 'limit';

type Keys = { readonly keys: readonly string[] };
type Of = { readonly origin: PolicyOrigin };

/** Keys are named `domain/key`. */
export type PolicyWarning =
  | { readonly kind: 'device-checked-out' }
  /** Nothing is said to be in force of a device that is expected to be gone. */
  | ({ readonly kind: 'presumed-gone' } & PresumedGone)
  | { readonly kind: 'phone-unknown' }
  | { readonly kind: 'phone-checked-out'; readonly phone: Udid }
  | { readonly kind: 'phone-stale'; readonly phone: Udid; readonly lastSeenAtMs: EpochMs }
  | ({ readonly kind: 'watch-only' } & Keys)
  | ({ readonly kind: 'passcode-forced-by-phone' } & Keys)
  | { readonly kind: 'alphanumeric-on-phone' }
  | { readonly kind: 'paired-watch-forbidden' }
  | ({ readonly kind: 'always-on-vpn' } & Of)
  | ({ readonly kind: 'deprecated-key'; readonly since: string; readonly replacement: string | null } & Of &
      Keys)
  | ({ readonly kind: 'unsupported-key'; readonly rule: string; readonly expected: string } & Of & Keys)
  | ({ readonly kind: 'unknown-key' } & Of & Keys)
  | ({ readonly kind: 'conflict'; readonly type: string; readonly origins: readonly PolicyOrigin[] } & Keys)
  /** Profiles of one `PayloadIdentifier`: the one that is installed last takes the place of the others. */
  | {
      readonly kind: 'same-profile';
      readonly payloadIdentifier: string;
      readonly origins: readonly PolicyOrigin[];
    }
  /** Profiles that set rules, which the device lists and which were not given to it here. */
  | { readonly kind: 'foreign-profiles'; readonly payloadIdentifiers: readonly string[] }
  /** Apple's schema merges these declarations to a value that is not the strictest. */
  | ({ readonly kind: 'weaker-by-combine' } & Keys)
  /** A zero whose meaning Apple does not document is taken as "no limit". */
  | ({ readonly kind: 'zero-undocumented' } & Keys)
  | {
      readonly kind: 'withheld';
      readonly identifier: string;
      readonly rule: string;
      readonly expected: string;
    }
  | ({ readonly kind: 'source-unread'; readonly reason: UnreadSource } & Of);

export interface EffectivePolicy {
  readonly udid: Udid;
  readonly platform: Platform;
  readonly osVersion: string | null;
  readonly state: DeviceState;
  /** Of a watch. */
  readonly phone: {
    readonly udid: Udid;
    readonly state: DeviceState;
    readonly lastSeenAtMs: EpochMs;
  } | null;
  /** What the device last said of its passcode. */
  readonly passcode: { readonly present: Observation; readonly compliant: Observation };
  /** By domain and key. */
  readonly rows: readonly PolicyRow[];
  /** Of an iPhone; empty for a watch. */
  readonly reaches: readonly ReachedWatch[];
  readonly warnings: readonly PolicyWarning[];
}

export interface Observation {
  readonly value: boolean | null;
  readonly by: string | null;
  readonly asOfMs: EpochMs | null;
}

export interface PolicyReader {
  ofDevice(udid: Udid, nowMs: EpochMs): Promise<Outcome<EffectivePolicy, UnknownDevice>>;
}
