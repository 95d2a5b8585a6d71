/**
 * One enrolled device, named by its UDID: its enrollment and pin, the command it is working on, the declarations
 * it is to hold, the command that tells it of them, and an outbox of what others must be told.
 *
 * Invariants: every method that acts for the device compares the certificate digest with the pin first; at most
 * one command is outstanding; a command that was answered or canceled never goes out again; state, decision and
 * outbox rows of one message are one transaction.
 *
 * An idle poll is answered from memory: no query, no write. The object is never deleted: after CheckOut it is
 * the record that this device was here, without its secrets. Alarms drain the outbox.
 */
import { DurableObject } from 'cloudflare:workers';
import type { GivenUp } from '../../domain/command/content.ts';
import type { DeclarationKind, ManifestEntry } from '../../domain/declaration/manifest.ts';
import type { KeptReport } from '../../domain/declaration/status.ts';
import type { StatusItem, StatusMergeRefusal } from '../../domain/declaration/status-merge.ts';
import {
  type AuthenticateFacts,
  decideAuthenticate,
  decideCaller,
  decideCheckOut,
  decideHeard,
  decideTokenUpdate,
  type EnrollmentChange,
  mayBegin,
  type TokenUpdateFacts,
} from '../../domain/enrollment/decisions.ts';
import type {
  ConnectStep,
  DeclarationReport,
  Delivery,
  Device,
  DeviceDescription,
  DeviceReport,
  HeldManifest,
  Offer,
} from '../../domain/enrollment/device.ts';
import type { DeviceMessage, DeviceOutboxPort } from '../../domain/enrollment/outbox.ts';
import type { DeviceRefusal, Enrollment, ExpectedIdentity } from '../../domain/enrollment/state.ts';
import { enrollmentEvents } from '../../domain/event/enrollment-events.ts';
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import { type EpochMs, epochMs, MINUTE_MS } from '../../std/time.ts';
import { migrate } from '../migrate.ts';
import type { Served } from '../stub.ts';
import { HeldDeclarations } from './declarations.ts';
import { DeclareCommand } from './declare-command.ts';
import { describeDevice } from './description.ts';
import { OutboxDrain } from './drain.ts';
import { ManifestStore } from './manifest-store.ts';
import { Revisions } from './revisions.ts';
import init from './schema/0001_init.sql';
import status from './schema/0002_status.sql';
import statusOutbox from './schema/0003_status_outbox.sql';
import declare from './schema/0004_declare.sql';
import eventsOutbox from './schema/0005_events_outbox.sql';
import sealedCommands from './schema/0006_sealed_commands.sql';
import ending from './schema/0007_ending.sql';
import { CommandSession } from './session.ts';
import { StatusStore } from './status-store.ts';
import { DeviceStore } from './store.ts';

/** `last seen` reaches storage this often: a fleet that polls every minute costs one write in fifteen. */
const LAST_SEEN_FLUSH_MS = 15 * MINUTE_MS;

/** Of a message that does not say that a device which was expected to leave stays. */
const UNDECIDED = { stays: false };

const IDLE: DeviceReport = { status: 'Idle', commandUuid: null, raw: new Uint8Array(0), facts: null };

export class DeviceObject extends DurableObject<Env> implements Served<Device> {
  readonly #drain: OutboxDrain;
  readonly #newUuid: () => string;
  readonly #status: StatusStore;
  #store: DeviceStore;
  #manifest: ManifestStore;
  #lastSeenMs: EpochMs;

  constructor(ctx: DurableObjectState, env: Env, outbox: DeviceOutboxPort, newUuid: () => string) {
    super(ctx, env);
    migrate(ctx.storage, [init, status, statusOutbox, declare, eventsOutbox, sealedCommands, ending]);
    this.#newUuid = newUuid;
    this.#store = new DeviceStore(ctx.storage.sql);
    this.#manifest = new ManifestStore(ctx.storage.sql);
    this.#status = new StatusStore(ctx.storage.sql);
    this.#lastSeenMs = this.#store.progress.lastSeenMs;
    this.#drain = new OutboxDrain(ctx.storage, outbox, {
      udid: this.#udid,
      store: () => this.#store,
      transact: (act) => this.#transact(act),
    });
  }

  /** A certificate was issued for this device; from now on it may Authenticate, or succeed the pinned one. */
  expectIdentity(identity: ExpectedIdentity): void {
    const { enrollment } = this.#store;
    const renews = identity.renewalOf !== null && identity.renewalOf === enrollment?.pin;
    // A repeated request for a certificate whose time is over changes nothing.
    if (renews || mayBegin(enrollment, identity)) this.#transact(() => this.#store.expectIdentity(identity));
  }

  authenticate(digest: string, facts: AuthenticateFacts, nowMs: EpochMs): Outcome<null, DeviceRefusal> {
    const decided = decideAuthenticate(this.#store.enrollment, this.#store.expected, digest, facts, nowMs);
    if (!decided.ok) return decided;
    const change = decided.value;
    if (change !== null) this.#transact(() => this.#apply(change, nowMs));
    return ok(null);
  }

  updateTokens(digest: string, facts: TokenUpdateFacts, nowMs: EpochMs): Outcome<null, DeviceRefusal> {
    return this.#asCaller(digest, nowMs, (enrollment) => {
      this.#apply(decideTokenUpdate(enrollment, facts, nowMs), nowMs);
      return null;
    });
  }

  checkOut(digest: string, nowMs: EpochMs): Outcome<null, DeviceRefusal> {
    const { enrollment } = this.#store;
    // Its first reply may have been lost: saying it again is no error.
    if (enrollment?.state === 'checked-out' && enrollment.pin === digest) return ok(null);
    return this.#asCaller(
      digest,
      nowMs,
      (current) => {
        this.#apply(decideCheckOut(current, nowMs), nowMs);
        return null;
      },
      UNDECIDED,
    );
  }

  /** A message on the command channel: commits the result, if it is one, and says what comes next. */
  report(digest: string, report: DeviceReport, nowMs: EpochMs): Outcome<ConnectStep, DeviceRefusal> {
    if (report.status === 'Idle' && this.#isIdle(digest)) {
      this.#touch(nowMs);
      return ok({ kind: 'empty' });
    }
    const act = ({ enrollmentId }: Enrollment) => this.#session.report(enrollmentId, report, nowMs);
    // What follows a result in the same session is no sign that the device stays; another session is.
    return this.#asCaller(digest, nowMs, act, report.status === 'Idle' ? undefined : UNDECIDED);
  }

  /** `report` of an Idle, which most requests are. Null stands for `empty`: a bare value costs less to bring across. */
  idle(digest: string, nowMs: EpochMs): Outcome<ConnectStep, DeviceRefusal> | null {
    const step = this.report(digest, IDLE, nowMs);
    return step.ok && step.value.kind === 'empty' ? null : step;
  }

  /**
   * Chooses among the rows that D1 showed and makes the choice outstanding. Null ends the session; the wait is
   * cleared only if nobody told of new work since `report` answered.
   */
  offer(digest: string, offer: Offer, nowMs: EpochMs): Outcome<Delivery | null, DeviceRefusal> {
    return this.#asCaller(digest, nowMs, () => this.#session.offer(offer, nowMs), UNDECIDED);
  }

  /** The command that is out cannot be handed over: it ends as failed, and something else may come next. */
  giveUp(
    digest: string,
    commandUuid: CommandUuid,
    status: GivenUp,
    nowMs: EpochMs,
  ): Outcome<ConnectStep, DeviceRefusal> {
    const act = ({ enrollmentId }: Enrollment) =>
      this.#session.giveUp(enrollmentId, commandUuid, status, nowMs);
    return this.#asCaller(digest, nowMs, act, UNDECIDED);
  }

  /**
   * A signed report of the device could not be read. It will say it again until it is taken, so after the third time
   * the command that it belongs to counts as failed; true then, and nobody waits behind it for ever.
   */
  settleUnreadable(digest: string, nowMs: EpochMs): Outcome<boolean, DeviceRefusal> {
    return this.#asCaller(digest, nowMs, () => this.#session.countUnreadable(nowMs));
  }

  /** Work was committed to D1 for this enrollment. If that has ended meanwhile, D1 is told to close what it left. */
  tellWork(enrollmentId: string, nowMs: EpochMs): void {
    this.#transact(() => {
      this.#store.saveProgress({ workTold: this.#store.progress.workTold + 1 });
      if (this.#liveEnrollmentId() !== enrollmentId) this.#end(enrollmentId, nowMs);
    });
  }

  /** Makes sure that a command never goes out. False when the device has it, or answered it. */
  cancel(commandUuid: CommandUuid, nowMs: EpochMs): boolean {
    return this.#transact(() => this.#session.cancel(commandUuid, nowMs));
  }

  /** For administrators and for decisions about other devices; asks for no certificate. */
  describe(): DeviceDescription | null {
    return describeDevice(this.#store, this.#manifest, this.#lastSeenMs);
  }

  /** Whether this certificate speaks for the device now; a renewal that asks becomes the one that does. */
  isCurrent(digest: string, nowMs: EpochMs): boolean {
    return this.#asCaller(digest, nowMs, () => null).ok;
  }

  /**
   * Replaces what the device is to hold. When that changes anything, or it was told a while ago and has yet to fetch it,
   * a command tells it. Whoever is told already is not told twice, nor woken.
   */
  setManifest(entries: readonly ManifestEntry[], declarationsToken: string, nowMs: EpochMs): boolean {
    if (!this.#declarations.isNews(declarationsToken, nowMs)) return false;
    this.#transact(() => this.#declarations.replace(entries, declarationsToken, nowMs));
    return true;
  }

  /** What the device is to hold, and its sealed bootstrap token; from memory. */
  read(digest: string, nowMs: EpochMs, asItems = false): Outcome<HeldManifest, DeviceRefusal> {
    return this.#asCaller(digest, nowMs, (enrollment) => this.#declarations.read(enrollment, asItems));
  }

  /** The entry with this identifier, or null; notes that the device fetched it. */
  fetchDeclaration(
    digest: string,
    kind: DeclarationKind,
    identifier: string,
    nowMs: EpochMs,
  ): Outcome<ManifestEntry | null, DeviceRefusal> {
    return this.#asCaller(digest, nowMs, () => this.#declarations.fetch(kind, identifier, nowMs));
  }

  reportDeclarations(
    digest: string,
    report: DeclarationReport,
    nowMs: EpochMs,
  ): Outcome<null, DeviceRefusal | StatusMergeRefusal> {
    const taken = this.#asCaller(digest, nowMs, (enrollment) =>
      this.#declarations.report(enrollment, report, nowMs),
    );
    return taken.ok ? taken.value : taken;
  }

  statusItems(): readonly StatusItem[] | null {
    return this.#store.enrollment === null ? null : this.#status.items();
  }

  statusReports(): readonly KeptReport[] | null {
    return this.#store.enrollment === null ? null : this.#status.reports();
  }

  /** Keeps the sealed token; null clears it. */
  saveBootstrapToken(digest: string, sealed: Bytes | null, nowMs: EpochMs): Outcome<null, DeviceRefusal> {
    return this.#asCaller(digest, nowMs, (enrollment) => {
      this.#store.saveEnrollment({ ...enrollment, bootstrapToken: sealed });
      return null;
    });
  }

  /** Tells the outbox now, for a caller that wants to read what it wrote. A failure is left to the alarm. */
  async flush(): Promise<void> {
    if (this.#store.hasOutbox()) await this.#drain.run();
  }

  override async alarm(): Promise<void> {
    await this.#drain.run();
    this.#transact(() => this.#store.pruneSettled(epochMs(Date.now())));
  }

  get #session(): CommandSession {
    return new CommandSession(this.#store, this.#declare, {
      udid: this.#udid,
      post: (message) => this.#post(message),
      became: (enrollment, nowMs) => this.#declarations.became(enrollment, nowMs),
      happened: (event, nowMs) => this.#revisions.happened([event], nowMs),
    });
  }

  get #declare(): DeclareCommand {
    return new DeclareCommand(this.#store, this.#newUuid);
  }

  get #declarations(): HeldDeclarations {
    return new HeldDeclarations({
      store: this.#store,
      manifest: this.#manifest,
      status: this.#status,
      declare: this.#declare,
      revisions: this.#revisions,
      udid: this.#udid,
      lastSeenMs: this.#lastSeenMs,
      post: (message) => this.#post(message),
    });
  }

  get #revisions(): Revisions {
    return new Revisions(this.#store, this.#udid, (message) => this.#post(message));
  }

  get #udid(): Udid {
    return this.ctx.id.name as Udid;
  }

  /** The one case that must cost nothing: known device, nothing outstanding, nothing waiting, nothing put off. */
  #isIdle(digest: string): boolean {
    const { enrollment, outstanding, workWaits, declare, deferred } = this.#store;
    const known = enrollment !== null && enrollment.state !== 'checked-out' && enrollment.pin === digest;
    const waits = outstanding !== null || workWaits || declare !== null || deferred.length > 0;
    return known && !waits && enrollment.presumedEnd === null;
  }

  #asCaller<T>(
    digest: string,
    nowMs: EpochMs,
    act: (enrollment: Enrollment) => T,
    { stays } = { stays: true },
  ): Outcome<T, DeviceRefusal> {
    const caller = decideCaller(this.#store.enrollment, this.#store.expected, digest);
    if (!caller.ok) return caller;
    const value = this.#transact(() => {
      if (caller.value.pin !== this.#store.enrollment?.pin) {
        this.#store.saveEnrollment(caller.value);
        this.#store.forgetRenewals();
      }
      if (stays) this.#declarations.became(decideHeard(caller.value), nowMs);
      return act(this.#store.enrollment ?? caller.value);
    });
    this.#touch(nowMs);
    return ok(value);
  }

  #apply(change: EnrollmentChange, nowMs: EpochMs): void {
    const { enrollment } = change;
    const store = this.#store;
    const before = store.enrollment;
    store.saveEnrollment(enrollment);
    if (change.reset) {
      store.resetQueue();
      if (this.#status.reset()) this.#revisions.projectStatus({});
      store.forgetExpected(enrollment.identityIssuedAtMs);
      if (before !== null) this.#end(before.enrollmentId, nowMs);
      const replaced = before !== null && before.enrollmentId !== enrollment.enrollmentId;
      if (replaced) this.#revisions.projectReplaced(before, nowMs);
    }
    const { pairingStep: step } = change;
    const { pairingId } = enrollment;
    if (step !== null && pairingId !== null)
      this.#post({ kind: 'pairing', watchUdid: this.#udid, pairingId, step, atMs: nowMs });
    if (step === 'enrolled') this.#declarations.enrolled(nowMs);
    this.#revisions.happened(enrollmentEvents(before, enrollment), nowMs);
    this.#lastSeenMs = nowMs;
    this.#revisions.project(this.#lastSeenMs);
  }

  /** Commands for this enrollment will never be delivered. */
  #end(enrollmentId: string, atMs: EpochMs): void {
    this.#post({ kind: 'reset', udid: this.#udid, enrollmentId, atMs });
  }

  /** Null when no enrollment takes commands. */
  #liveEnrollmentId(): string | null {
    const { enrollment } = this.#store;
    return enrollment === null || enrollment.state === 'checked-out' ? null : enrollment.enrollmentId;
  }

  /** Memory only, but for one write every LAST_SEEN_FLUSH_MS. */
  #touch(nowMs: EpochMs): void {
    this.#lastSeenMs = nowMs;
    if (nowMs - this.#store.progress.lastSeenMs < LAST_SEEN_FLUSH_MS) return;
    this.#transact(() => this.#revisions.project(this.#lastSeenMs));
  }

  #post(message: DeviceMessage): void {
    this.#store.post(message);
    void this.ctx.storage.setAlarm(Date.now());
  }

  /** Runs `act` atomically; if it throws, memory is read again from what was kept. */
  #transact<T>(act: () => T): T {
    try {
      return this.ctx.storage.transactionSync(act);
    } catch (error) {
      this.#store = new DeviceStore(this.ctx.storage.sql);
      this.#manifest = new ManifestStore(this.ctx.storage.sql);
      throw error;
    }
  }
}
