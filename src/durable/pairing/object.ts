/**
 * One watch's pairings, named by its UDID: live challenges with the phone that claimed each, the pairings they
 * began with their timelines, the counters behind the limits, and an outbox to D1.
 *
 * Invariant: a security token is redeemed at most once. A challenge is a row that lives until it is redeemed,
 * expired, evicted or refused; redeeming deletes it, and with it every token minted for it. Each method loads,
 * decides and applies in one synchronous transaction, so parallel callers are told apart by their order.
 *
 * A name that was only guessed at is never written. An object of which no phone ever claimed a challenge deletes
 * itself a day after the last request (anybody can make one); any other stays, bounded by `limits.ts`.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Udid } from '../../domain/ids.ts';
import {
  type Challenge,
  decideChallenge,
  decideClaim,
  decideRedemption,
  deservesChallenge,
  endsPairing,
} from '../../domain/pairing/decisions.ts';
import { CHALLENGE_LIFE_MS, REDEEMED_LIFE_MS, REFUSALS_IN_ROW_MAX } from '../../domain/pairing/limits.ts';
import type {
  ClaimRefusal,
  ClaimRequest,
  IssuedChallenge,
  PairingArchive,
  ProgressRefusal,
  Redemption,
  RedemptionAnswer,
  WatchRequest,
} from '../../domain/pairing/ports.ts';
import {
  advance,
  beginPairing,
  type ChallengeReason,
  isForward,
  type Note,
  type Pairing,
  type ProgressStep,
} from '../../domain/pairing/states.ts';
import type { PresentedToken } from '../../domain/pairing/token.ts';
import type { Log } from '../../log.ts';
import { Fault, type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, type EpochMs, epochMs, SECOND_MS } from '../../std/time.ts';
import { isMigrated, migrate } from '../migrate.ts';
import { PairingOutbox } from './outbox.ts';
import init from './schema/0001_init.sql';
import { PairingTables } from './store.ts';

/** A handshake has six steps within seconds: told together they are one write to D1 and not six. */
const GATHER_MS = SECOND_MS;

export interface PairingObjectPorts {
  readonly archive: PairingArchive;
  readonly log: Log;
}

export class PairingObject extends DurableObject<Env> {
  readonly #ports: PairingObjectPorts;
  readonly #store: PairingTables;
  readonly #outbox: PairingOutbox;
  /** When what changed is told to D1; lost by an eviction, which the alarm survives. */
  #tellAtMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env, ports: PairingObjectPorts) {
    super(ctx, env);
    if (isMigrated(ctx.storage)) migrate(ctx.storage, [init]);
    this.#ports = ports;
    this.#store = new PairingTables(ctx.storage.sql, ctx.id.name as Udid);
    this.#outbox = new PairingOutbox(ctx.storage.sql, ctx.id.name as Udid);
  }

  /** A watch asked without a token. */
  challenge(
    request: WatchRequest,
    nowMs: EpochMs,
  ): Outcome<IssuedChallenge, { readonly kind: ChallengeReason }> {
    return this.#transact(nowMs, () => this.#issue(request, null, nowMs));
  }

  /** A phone asked for the token of this watch. A refusal is recorded only if the security token is this watch's. */
  claim(request: ClaimRequest, nowMs: EpochMs): Outcome<{ readonly pairingId: string }, ClaimRefusal> {
    const unknown = request.fault ?? 'challenge-unknown';
    if (!isMigrated(this.ctx.storage)) return refuse({ kind: unknown, recorded: false });
    return this.#transact(nowMs, () => {
      const found = this.#store.lookup(request.securityToken);
      if (found.pairing === null) return refuse({ kind: unknown, recorded: false });
      const detail = `phone ${request.phoneUdid}`;
      const decided = decideClaim(found, request);
      if (!decided.ok) {
        this.#note(found.pairing, { step: 'claimed', reason: decided.refusal.kind, detail }, nowMs);
        return refuse({ kind: decided.refusal.kind, recorded: true });
      }
      this.#dropOlderClaims(request, decided.value, nowMs);
      this.#store.bindPhone(request.securityToken, request.phoneUdid, nowMs);
      this.#note({ ...found.pairing, phoneUdid: request.phoneUdid }, { step: 'claimed', detail }, nowMs);
      return ok({ pairingId: found.pairing.pairingId });
    });
  }

  /** A watch came with a token. A refused one is answered with a fresh challenge, a few times. */
  redeem(redemption: Redemption, nowMs: EpochMs): RedemptionAnswer {
    return this.#transact(nowMs, () => {
      const { request, token, phone } = redemption;
      const securityToken = token.ok ? token.value.securityToken : token.refusal.securityToken;
      const found = securityToken === null ? NOTHING : this.#store.lookup(securityToken);
      const decided = token.ok
        ? decideRedemption(found, { serial: request.serial, token: token.value, phone })
        : token;
      if (!decided.ok) return this.#refuseToken(request, found.pairing, decided.refusal.kind, nowMs);
      if (!token.ok || found.pairing === null)
        throw new Fault('pairing-state', 'redemption without a pairing');
      return this.#consume(request, token.value, found.pairing, nowMs);
    });
  }

  /** The watch got further. Steps may come twice, late or out of order. */
  progress(pairingId: string, step: ProgressStep, nowMs: EpochMs): Outcome<null, ProgressRefusal> {
    if (!isMigrated(this.ctx.storage)) return refuse({ kind: 'pairing-unknown' });
    return this.#transact(nowMs, () => {
      const pairing = this.#store.find(pairingId);
      if (pairing === null) return refuse({ kind: 'pairing-unknown' });
      if (pairing.redeemedAtMs === null) return refuse({ kind: 'pairing-not-redeemed' });
      if (isForward(pairing, step)) this.#note(pairing, { step }, nowMs);
      return ok(null);
    });
  }

  /** Newest first. A challenge that expired a moment ago may still show as live until the alarm has run. */
  history(): readonly Pairing[] {
    return isMigrated(this.ctx.storage) ? this.#store.list() : [];
  }

  /** Ends what is over and tells D1. Running twice finds nothing left to do. */
  override async alarm(): Promise<void> {
    if (!isMigrated(this.ctx.storage)) return;
    this.#tellAtMs = null;
    const nowMs = epochMs(Date.now());
    this.ctx.storage.transactionSync(() => {
      this.#settle(nowMs);
      this.#store.forgetUnclaimed(nowMs);
    });
    await this.#drain(nowMs);
    // Looked at again, and nothing awaited since: a watch may have come while D1 was told.
    if (this.#store.isEmpty()) return this.ctx.storage.deleteAll();
    this.ctx.storage.transactionSync(() => this.#store.trim());
    this.#armAlarm(nowMs);
  }

  /** A phone holds the newest challenge that it claimed: a forger with one phone cannot fill all places of a watch. */
  #dropOlderClaims(request: ClaimRequest, claimed: Challenge, nowMs: EpochMs): void {
    for (const { securityToken, pairingId, phoneUdid, issuedAtMs } of this.#store.live()) {
      const older = issuedAtMs <= claimed.issuedAtMs && securityToken !== claimed.securityToken;
      if (older && phoneUdid === request.phoneUdid) {
        this.#endChallenge(securityToken, pairingId, 'superseded', nowMs);
      }
    }
  }

  #issue(
    request: WatchRequest,
    before: Note | null,
    nowMs: EpochMs,
  ): Outcome<IssuedChallenge, { readonly kind: ChallengeReason }> {
    const store = this.#store;
    const decided = decideChallenge(store.live(), store.challengeCounts(request.source, nowMs));
    if (!decided.ok) {
      this.#noteOnNewest({ step: 'challenged', reason: decided.refusal.kind }, nowMs);
      return decided;
    }
    const { evict } = decided.value;
    if (evict !== null) this.#endChallenge(evict.securityToken, evict.pairingId, 'superseded', nowMs);
    const { securityToken, pairingId } = request.fresh;
    const { watchUdid, serial, source } = request;
    let pairing = beginPairing({ pairingId, watchUdid, watchSerial: serial, securityToken }, nowMs);
    if (before !== null) pairing = advance(pairing, before, nowMs);
    this.#note(pairing, { step: 'challenged', detail: `signer ${request.signerForm}` }, nowMs);
    const life = { issuedAtMs: nowMs, expiresAtMs: addMs(nowMs, CHALLENGE_LIFE_MS) };
    store.openChallenge({
      securityToken,
      pairingId,
      serial,
      source,
      ...life,
      phoneUdid: null,
      claimedAtMs: null,
    });
    store.countRequest('challenge', source, nowMs);
    store.trim();
    return ok({ securityToken, pairingId });
  }

  #consume(request: WatchRequest, token: PresentedToken, pairing: Pairing, nowMs: EpochMs): RedemptionAnswer {
    const { phoneUdid, securityToken, foreignIssuer } = token;
    if (!this.#store.consumeChallenge(securityToken))
      throw new Fault('pairing-state', 'challenge went missing');
    let bound: Pairing = { ...pairing, phoneUdid, redeemedAtMs: nowMs };
    if (pairing.phoneUdid === null) {
      bound = advance(
        bound,
        { step: 'claimed', detail: `phone ${phoneUdid}, issuer ${foreignIssuer}` },
        nowMs,
      );
    }
    this.#note(bound, { step: 'redeemed', detail: `signer ${request.signerForm}` }, nowMs);
    this.#store.forgetRefusals();
    return { kind: 'redeemed', pairingId: pairing.pairingId, phoneUdid };
  }

  #refuseToken(
    request: WatchRequest,
    pairing: Pairing | null,
    reason: Extract<RedemptionAnswer, { kind: 'refused' }>['because'],
    nowMs: EpochMs,
  ): RedemptionAnswer {
    const store = this.#store;
    const refusalsBefore = store.refusals(request.source, nowMs);
    // No more are counted than matter, so that a flood of them cannot crowd out the counts of challenges.
    if (refusalsBefore < REFUSALS_IN_ROW_MAX) store.countRequest('refusal', request.source, nowMs);
    const step = endsPairing(reason) ? 'refused' : 'redeemed';
    const note: Note = { step, reason, detail: `signer ${request.signerForm}` };
    if (pairing !== null) this.#note(pairing, note, nowMs);
    if (pairing !== null && step === 'refused') store.consumeChallenge(pairing.securityToken);
    if (deservesChallenge(reason, refusalsBefore)) {
      const issued = this.#issue(request, pairing === null ? note : null, nowMs);
      if (issued.ok) return { kind: 'challenge', because: reason, challenge: issued.value };
    }
    if (pairing === null) this.#noteOnNewest(note, nowMs);
    return { kind: 'refused', because: reason };
  }

  #endChallenge(securityToken: string, pairingId: string, reason: Note['reason'], atMs: EpochMs): void {
    this.#store.consumeChallenge(securityToken);
    const pairing = this.#store.find(pairingId);
    if (pairing !== null) this.#note(pairing, { step: 'expired', reason: reason ?? null }, atMs);
  }

  /** Everything whose time is up, at the time at which it was. */
  #settle(nowMs: EpochMs): void {
    for (const c of this.#store.expireChallenges(nowMs)) {
      const reason = c.phoneUdid === null ? 'not-claimed' : 'not-redeemed';
      this.#endChallenge(c.securityToken, c.pairingId, reason, c.expiresAtMs);
    }
    for (const pairing of this.#store.stranded(nowMs)) {
      const at = addMs(pairing.redeemedAtMs ?? nowMs, REDEEMED_LIFE_MS);
      this.#note(pairing, { step: 'expired', reason: 'no-identity' }, at);
    }
  }

  #note(pairing: Pairing, note: Note, nowMs: EpochMs): void {
    const next = advance(pairing, note, nowMs);
    if (next.revision === pairing.revision) this.#store.saveRepeat(next);
    else this.#store.savePairing(next);
  }

  /** For refusals that belong to no pairing of their own: limits are only reached by earlier challenges. */
  #noteOnNewest(note: Note, nowMs: EpochMs): void {
    const newest = this.#store.newest();
    if (newest !== null) this.#note(newest, note, nowMs);
  }

  #transact<T>(nowMs: EpochMs, act: () => T): T {
    migrate(this.ctx.storage, [init]);
    const result = this.ctx.storage.transactionSync(() => {
      this.#settle(nowMs);
      return act();
    });
    this.#armAlarm(nowMs);
    return result;
  }

  async #drain(nowMs: EpochMs): Promise<void> {
    const batch = this.#outbox.batch();
    if (batch.rows.length === 0 || (this.#outbox.dueMs() ?? 0) > nowMs) return;
    try {
      await this.#ports.archive.put(batch.changed);
      await this.#ports.archive.remove(batch.removed);
    } catch (error) {
      // The rows stay; an alarm that throws would be given up after six tries.
      const count = this.#outbox.failed(nowMs);
      const message = error instanceof Error ? error.message : String(error);
      this.#ports.log.event('drain-failed', { watchUdid: this.ctx.id.name ?? '', count, error: message });
      return;
    }
    this.#outbox.told(batch);
  }

  /** One slot: the earliest of telling D1, a challenge's end, a stranded pairing's end. */
  #armAlarm(nowMs: EpochMs): void {
    const dueMs = this.#outbox.dueMs();
    if (dueMs === 0) this.#tellAtMs ??= nowMs + GATHER_MS;
    const times = [dueMs === 0 ? this.#tellAtMs : dueMs, this.#store.nextDeadlineMs()].filter(
      (at) => at !== null,
    );
    if (times.length > 0) void this.ctx.storage.setAlarm(Math.max(nowMs, Math.min(...times)));
  }
}

const NOTHING = { challenge: null, pairing: null };
