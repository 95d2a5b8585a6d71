/**
 * What the admin API needs from the rest of the server. Every refusal here is a closed union that
 * `http/admin/refusals.ts` turns into a problem document; a dependency that fails throws `Unavailable`.
 *
 * Cursors are strings that only the service that made one can read. The edge wraps them with the name of the
 * listing and its filter, so a cursor is never taken to another listing; a service still answers
 * `malformed-cursor` for a string it could not have made.
 */
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { KeptReport } from '../declaration/status.ts';
import type { StatusItem } from '../declaration/status-merge.ts';
import type { HostState, PresumedGone } from '../enrollment/ending.ts';
import type { EventFeed } from '../event/feed.ts';
import type { LinkGrant } from '../identity/one-time-link.ts';
import type { Platform, SerialNumber, Udid } from '../ids.ts';
import type { AppServices } from './app-services.ts';
import type { CommandService } from './command-services.ts';
import type {
  Changed,
  DeclarationLibrary,
  DeclarationSets,
  DeviceGroups,
  DeviceSettings,
  UnknownGroup,
} from './declaration-services.ts';
import type { DryRunner } from './dry-run-services.ts';
import type { InventoryService } from './inventory-services.ts';
import type { CommandAdvisor, GatheredServices } from './order-services.ts';
import type { EnrollmentHistoryReader } from './pair-services.ts';
import type { PolicyReader } from './policy-services.ts';
import type { ProfileBuilder } from './profile-build-services.ts';
import type { ProfileServices } from './profile-services.ts';

/** Who is asking. `id` names the key in records; it is not the key. */
export interface Admin {
  readonly id: string;
}

export type UnknownKey = { readonly kind: 'unknown-key' };

/** Tells an administrator by a bearer key. Takes the same time for every wrong key of one length. */
export interface Authenticator {
  authenticate(token: string, nowMs: EpochMs): Promise<Outcome<Admin, UnknownKey>>;
}

export interface PageQuery {
  /** `null` asks for the first page. */
  readonly cursor: string | null;
  /** At least 1; a page may be shorter than this and still have a successor. */
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** `null` on the last page. */
  readonly cursor: string | null;
}

export type MalformedCursor = { readonly kind: 'malformed-cursor' };
export type UnknownDevice = { readonly kind: 'unknown-device'; readonly udid: Udid };

// Devices

export type DeviceState = 'authenticated' | 'enrolled' | 'checked-out';

export interface DeviceRecord {
  readonly udid: Udid;
  readonly serial: SerialNumber;
  readonly platform: Platform;
  readonly state: DeviceState;
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly buildVersion: string | null;
  readonly enrolledAtMs: EpochMs | null;
  readonly lastSeenAtMs: EpochMs;
  /** A watch's iPhone, as its pairing proved it; `null` for an iPhone. */
  readonly phone: Udid | null;
  /** The watches that paired through this iPhone and have not checked out; empty for a watch. */
  readonly watches: readonly Udid[];
  readonly pairingId: string | null;
  /** As its inventory has them; null until it was asked. */
  readonly name: string | null;
  readonly model: string | null;
  /** Others that enrolled here with the same serial number. */
  readonly otherUdids: readonly Udid[];
  /** Of a watch: what became of the iPhone's enrollment that it was paired in; null where that is not recorded. */
  readonly phoneState: { readonly state: HostState; readonly sinceMs: EpochMs | null } | null;
  /** Why it is expected to be gone although it did not check out. */
  readonly presumedGone: PresumedGone | null;
}

export interface DeviceFilter {
  readonly platform: Platform | null;
  readonly state: DeviceState | null;
  readonly serial: SerialNumber | null;
  /** Scalar status items by name, each with the text of the value asked for; all must match. */
  readonly status?: Readonly<Record<string, string>>;
}

/** The fleet's index: a projection that may trail a device by seconds. Nothing is decided from it. */
export interface DeviceDirectory {
  /** In a fixed order (UDID); a device that enrolls meanwhile may be missed, none is told twice. */
  list(filter: DeviceFilter, page: PageQuery): Promise<Outcome<Page<DeviceRecord>, MalformedCursor>>;
  find(udid: Udid): Promise<DeviceRecord | null>;
}

// Status

/** What a device reports of itself, as its own object has it. */
export interface DeviceStatus {
  /** By name. */
  items(udid: Udid): Promise<Outcome<readonly StatusItem[], UnknownDevice>>;
  /** The last ones, newest first. */
  reports(udid: Udid): Promise<Outcome<readonly KeptReport[], UnknownDevice>>;
}

// Watch enrollment

export interface StatusReason {
  readonly code: string;
  readonly description: string | null;
}

/** Where an assigned iPhone stopped, and why. */
export interface WatchEnrollmentBlock {
  readonly reason:
    | 'not-enrolled'
    | 'checked-out'
    | 'unsupervised'
    | 'os-too-old'
    /** Its client capabilities do not name watch enrollment. */
    | 'not-capable'
    /** It could not use a pinned certificate. */
    | 'invalid-anchor'
    | 'invalid-configuration';
  /** For people; null where the reason says it all. */
  readonly detail: string | null;
}

/** How far an iPhone got: the last of these that it reached. */
export type WatchEnrollmentStage = 'unassigned' | 'assigned' | 'delivered' | 'active' | 'paired';

/** How far the assignment got on one iPhone, as that iPhone last reported it. */
export interface WatchEnrollmentStatus {
  readonly phone: Udid;
  readonly assigned: boolean;
  /** The group that the assignment which counts was made to; null for the iPhone's own. */
  readonly group: string | null;
  readonly stage: WatchEnrollmentStage;
  readonly assignedAtMs: EpochMs | null;
  /** SHA-256 of each pinned anchor's DER in lower-case hex, in the administrator's order. */
  readonly anchors: readonly string[];
  /** The iPhone has fetched the configuration as it now stands. */
  readonly delivered: boolean;
  /** As the iPhone's status report says; `null` before the first report. */
  readonly active: boolean | null;
  readonly valid: 'valid' | 'invalid' | 'unknown' | null;
  readonly reasons: readonly StatusReason[];
  readonly blockedBy: WatchEnrollmentBlock | null;
  /** How many pairings this iPhone has claimed. */
  readonly pairings: number;
}

export type AssignRefusal = UnknownDevice | { readonly kind: 'not-a-phone'; readonly udid: Udid };

/** Assignments are durable on return; the iPhone is told after that, and again until it has fetched. */
export interface WatchEnrollmentService {
  /** Replaces the anchors of an existing assignment. Each anchor is the DER of one certificate. */
  assign(
    phone: Udid,
    anchors: readonly Bytes[],
    nowMs: EpochMs,
  ): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>>;
  /** Taking back what was never assigned is no refusal. Pairings already enrolled stay. */
  withdraw(phone: Udid, nowMs: EpochMs): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>>;
  status(phone: Udid): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>>;
  /** Every iPhone, by UDID: assigned or not. */
  list(page: PageQuery): Promise<Outcome<Page<WatchEnrollmentStatus>, MalformedCursor>>;
  /** The group's assignment, which a device's own outranks; everyone's is the group `everyone`. */
  assignGroup(
    group: string,
    anchors: readonly Bytes[],
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<WatchEnrollmentGroup>, UnknownGroup>>;
  withdrawGroup(group: string, nowMs: EpochMs): Promise<{ readonly waiting: number }>;
  groups(): Promise<readonly WatchEnrollmentGroup[]>;
}

export interface WatchEnrollmentGroup {
  readonly group: string;
  readonly assignedAtMs: EpochMs;
  /** As in `WatchEnrollmentStatus`. */
  readonly anchors: readonly string[];
}

// Pairings

export interface TimelineEntry {
  readonly atMs: EpochMs;
  readonly step: string;
  readonly outcome: string;
  readonly reason: string | null;
  /** Facts beside the reason, such as how the signer's subject looked. */
  readonly detail?: string;
  /** On a full timeline: how many later entries were only counted here. */
  readonly repeats?: number;
}

export interface PairingRecord {
  readonly pairingId: string;
  readonly watch: Udid;
  readonly serial: SerialNumber;
  readonly phone: Udid | null;
  readonly state: string;
  readonly reason: string | null;
  readonly startedAtMs: EpochMs;
  readonly updatedAtMs: EpochMs;
  readonly timeline: readonly TimelineEntry[];
}

export interface PairingReader {
  /** Newest first. */
  list(
    query: PageQuery & { readonly watch: Udid | null },
  ): Promise<Outcome<Page<PairingRecord>, MalformedCursor>>;
  get(pairingId: string): Promise<PairingRecord | null>;
}

// Who may enroll

export interface ExpectedDevice {
  readonly serial: SerialNumber;
  readonly platform: 'iOS';
  /** When it was listed last. */
  readonly addedAtMs: EpochMs;
  /** The one device that used the listing. */
  readonly udid: Udid | null;
}

/** Serial numbers whose iPhones may take a profile at `/enroll/phone`: each admits one device, once. */
export interface ExpectedDevices {
  /** One that is listed already is renewed: it admits one device from now on, whichever it admitted before. */
  add(
    serials: readonly SerialNumber[],
    nowMs: EpochMs,
  ): Promise<{ readonly added: number; readonly renewed: number }>;
  /** By serial. */
  list(page: PageQuery): Promise<Outcome<Page<ExpectedDevice>, MalformedCursor>>;
  /** False when it was not listed. */
  remove(serial: SerialNumber): Promise<boolean>;
}

/** Makes links that yield one profile, once. Durable on return; the code is kept only as a digest. */
export interface EnrollmentLinks {
  create(
    grant: LinkGrant,
    ttlSeconds: number,
    nowMs: EpochMs,
  ): Promise<{ readonly code: string; readonly expiresAtMs: EpochMs }>;
}

export interface AdminServices extends AppServices, ProfileServices {
  readonly authenticator: Authenticator;
  readonly devices: DeviceDirectory;
  readonly inventory: InventoryService;
  readonly enrollments: EnrollmentHistoryReader;
  readonly status: DeviceStatus;
  readonly events: EventFeed;
  readonly commands: CommandService;
  readonly commandAdvisor: CommandAdvisor;
  /** For one request that calls them many times at once. */
  readonly gathered: () => GatheredServices;
  readonly watchEnrollment: WatchEnrollmentService;
  readonly pairings: PairingReader;
  readonly expectedDevices: ExpectedDevices;
  readonly enrollmentLinks: EnrollmentLinks;
  readonly declarations: DeclarationLibrary;
  readonly profileBuilder: ProfileBuilder;
  readonly sets: DeclarationSets;
  readonly groups: DeviceGroups;
  readonly settings: DeviceSettings;
  readonly dryRuns: DryRunner;
  readonly policies: PolicyReader;
  /** Lets time pass between two looks at the feed. */
  readonly pause: (ms: number) => Promise<void>;
  /** A fresh upper-case UUID, for commands that come without one. */
  readonly newUuid: () => string;
  /** Where devices reach this server, without a trailing slash: links begin with it. */
  readonly publicUrl: string;
  /** Whether this `PayloadIdentifier` names the profile that enrolled a device here. */
  readonly isEnrollmentProfile: (identifier: string) => boolean;
}
