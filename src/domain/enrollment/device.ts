/**
 * One device, as the rest of the server speaks to it: the port onto its object, and the shapes that cross.
 * Every method that takes a digest acts for the device and compares that digest with the pin. All of them may
 * throw `Unavailable`; a caller then knows nothing of whether the message was taken, and devices say it again.
 */

import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { GivenUp } from '../command/content.ts';
import type { Candidates, CommandBody, ReportStatus } from '../command/queue.ts';
import type { DeclarationKind, DeclarationStatus, ManifestEntry } from '../declaration/manifest.ts';
import type { KeptReport } from '../declaration/status.ts';
import type { StatusChange, StatusItem, StatusMergeRefusal } from '../declaration/status-merge.ts';
import type { CommandUuid, Platform, Udid } from '../ids.ts';
import type { AuthenticateFacts, TokenUpdateFacts } from './decisions.ts';
import type { ReportedFacts } from './facts.ts';
import type { DeviceRefusal, Enrollment, ExpectedIdentity } from './state.ts';

export interface DeviceReport {
  readonly status: ReportStatus;
  readonly commandUuid: CommandUuid | null;
  /** The device's plist as it came; kept as the command's result. Empty for Idle. */
  readonly raw: Bytes;
  /** What the result told of the device; null when it is no such result. */
  readonly facts: ReportedFacts | null;
}

/** The command that is outstanding, as its object keeps it. */
export interface Delivery {
  readonly commandUuid: CommandUuid;
  readonly requestType: string;
  readonly body: CommandBody;
  /** The enrollment's, sealed, beside a command that takes it; null beside every other, and where there is none. */
  readonly unlockToken: Bytes | null;
}

export type ConnectStep =
  | { readonly kind: 'empty' }
  | { readonly kind: 'deliver'; readonly delivery: Delivery }
  /** Ask D1 for commands of this enrollment and come back with `offer`. */
  | {
      readonly kind: 'fetch';
      readonly enrollmentId: string;
      readonly workTold: number;
      /** What D1 may hold that must not go out now: put off, ended without D1 having heard of it, the object's own. */
      readonly passedOver: readonly CommandUuid[];
    };

export interface Offer extends Candidates {
  /** As `fetch` said. */
  readonly workTold: number;
  readonly lastStatus: ReportStatus;
}

export interface HeldManifest {
  readonly declarationsToken: string | null;
  readonly changedAtMs: EpochMs;
  readonly entries: readonly ManifestEntry[];
  readonly bootstrapToken: Bytes | null;
  readonly platform: Platform;
}

export type DescribedDeclaration = ManifestEntry & {
  readonly fetched: boolean;
  readonly status: DeclarationStatus | null;
};

export interface DeviceDescription
  extends Omit<Enrollment, 'pushToken' | 'unlockToken' | 'bootstrapToken' | 'pushMagic'> {
  readonly hasUnlockToken: boolean;
  readonly lastSeenMs: EpochMs;
  /** JSON of the `ClientCapabilities` that were last reported. */
  readonly capabilities: string | null;
  readonly declarations: readonly DescribedDeclaration[];
  /** Of the manifest that it is to hold; null when it never had one. */
  readonly declarationsToken: string | null;
  readonly manifestChangedAtMs: EpochMs | null;
  /** It is yet to be told of the manifest as it stands: the command waits, or is out and unanswered. */
  readonly declarePending: boolean;
  readonly outstanding: CommandUuid | null;
}

/** A status report, taken apart. */
export interface DeclarationReport {
  /** Null when the report does not speak of declarations; full when it speaks of all. */
  readonly declarations: {
    readonly statuses: readonly DeclarationStatus[];
    readonly removed: readonly string[];
  } | null;
  /** JSON of its `ClientCapabilities`, when the report told them. */
  readonly capabilities: string | null;
  readonly status: StatusChange;
  /** Names of the items that the fleet's index holds. */
  readonly fleetItems: readonly string[];
  /** The report's size, and its JSON with secrets masked unless it is too large to keep. */
  readonly raw: { readonly bytes: number; readonly kept: Bytes | null };
}

type Answer<T, Refusal extends { readonly kind: string } = DeviceRefusal> = Promise<Outcome<T, Refusal>>;

export interface Device {
  /** Idempotent by digest. */
  expectIdentity(identity: ExpectedIdentity): Promise<void>;
  /** A renewal that asks becomes the pinned certificate. */
  isCurrent(digest: string, nowMs: EpochMs): Promise<boolean>;
  authenticate(digest: string, facts: AuthenticateFacts, nowMs: EpochMs): Answer<null>;
  updateTokens(digest: string, facts: TokenUpdateFacts, nowMs: EpochMs): Answer<null>;
  checkOut(digest: string, nowMs: EpochMs): Answer<null>;
  /** The result in `report` is durable when this returns. */
  report(digest: string, report: DeviceReport, nowMs: EpochMs): Answer<ConnectStep>;
  /** Null ends the session; otherwise the chosen command is outstanding when this returns. */
  offer(digest: string, offer: Offer, nowMs: EpochMs): Answer<Delivery | null>;
  /** The outstanding command, if it is this one, cannot be handed over and ends as failed. Says what comes next. */
  giveUp(digest: string, commandUuid: CommandUuid, status: GivenUp, nowMs: EpochMs): Answer<ConnectStep>;
  /** Counts a signed report that could not be read; true when the outstanding command was given up for it. */
  settleUnreadable(digest: string, nowMs: EpochMs): Answer<boolean>;
  /** Commands of an enrollment that is not the live one are canceled. */
  tellWork(enrollmentId: string, nowMs: EpochMs): Promise<void>;
  /** False when the device has the command or answered it; otherwise it will never be delivered, said once or twice. */
  cancel(commandUuid: CommandUuid, nowMs: EpochMs): Promise<boolean>;
  /** Null when nothing ever Authenticated under this UDID. */
  describe(): Promise<DeviceDescription | null>;
  /**
   * Whether that changed anything: the manifest, or that the device is to be told. Said again with the same token it
   * tells a device anew that was told and never fetched something; it changes nothing otherwise.
   */
  setManifest(entries: readonly ManifestEntry[], declarationsToken: string, nowMs: EpochMs): Promise<boolean>;
  /** `asItems` when the device is given all of it to go by, and drops what is not in it. */
  read(digest: string, nowMs: EpochMs, asItems?: boolean): Answer<HeldManifest>;
  fetchDeclaration(
    digest: string,
    kind: DeclarationKind,
    identifier: string,
    nowMs: EpochMs,
  ): Answer<ManifestEntry | null>;
  /** All of it is durable when this returns, or none of it was taken. */
  reportDeclarations(
    digest: string,
    report: DeclarationReport,
    nowMs: EpochMs,
  ): Answer<null, DeviceRefusal | StatusMergeRefusal>;
  /** By name; null when nothing ever Authenticated under this UDID. */
  statusItems(): Promise<readonly StatusItem[] | null>;
  /** The last ones, newest first; null likewise. */
  statusReports(): Promise<readonly KeptReport[] | null>;
  saveBootstrapToken(digest: string, sealed: Bytes | null, nowMs: EpochMs): Answer<null>;
  /** Tells the outbox now; a failure is left to the alarm. */
  flush(): Promise<void>;
}

export interface Devices {
  of(udid: Udid): Device;
}
