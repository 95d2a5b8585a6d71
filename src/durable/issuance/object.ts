/**
 * Keeps one one-time value: a credential (named by its id) or an enrollment link (named by the SHA-256 of its code).
 *
 * Invariant: a credential is bound to at most one key, a link is taken at most once; both are decided and written
 * without an await in between, so parallel callers are told apart by the order in which they arrive.
 * Methods: `openCredential`, `consumeCredential`, `openLink`, `takeLink`.
 * It dies by alarm, some time after the value expired. A name that was only guessed at is never written.
 */
import { DurableObject } from 'cloudflare:workers';
import {
  type ConsumeOutcome,
  CREDENTIAL_RETRY_MS,
  type CredentialClaim,
  type CredentialRecord,
  decideConsume,
} from '../../domain/identity/credential.ts';
import {
  decideTake,
  LINK_MEMORY_MS,
  type LinkRecord,
  type TakeOutcome,
} from '../../domain/identity/one-time-link.ts';
import type { EpochMs } from '../../std/time.ts';
import { isMigrated, migrate } from '../migrate.ts';
import init from './schema/0001_init.sql';
import { IssuanceStore } from './store.ts';

export class IssuanceObject extends DurableObject<Env> {
  readonly #store: IssuanceStore;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    if (isMigrated(ctx.storage)) migrate(ctx.storage, [init]);
    this.#store = new IssuanceStore(ctx.storage.sql);
  }

  async openCredential(record: Omit<CredentialRecord, 'use'>): Promise<void> {
    migrate(this.ctx.storage, [init]);
    this.#store.insertCredential(record);
    await this.ctx.storage.setAlarm(record.expiresAtMs + CREDENTIAL_RETRY_MS);
  }

  consumeCredential(claim: CredentialClaim, nowMs: EpochMs): ConsumeOutcome {
    const record = isMigrated(this.ctx.storage) ? this.#store.loadCredential() : null;
    const { outcome, firstUse } = decideConsume(record, claim, nowMs);
    if (firstUse !== null) this.#store.writeUse(firstUse);
    return outcome;
  }

  async openLink(record: Omit<LinkRecord, 'takenAtMs'>): Promise<void> {
    migrate(this.ctx.storage, [init]);
    this.#store.insertLink(record);
    await this.ctx.storage.setAlarm(record.expiresAtMs + LINK_MEMORY_MS);
  }

  takeLink(nowMs: EpochMs): TakeOutcome {
    const outcome = decideTake(isMigrated(this.ctx.storage) ? this.#store.loadLink() : null, nowMs);
    if (outcome.ok) this.#store.writeTaken(nowMs);
    return outcome;
  }

  /** Set once, for after the end of the value's life; running twice finds nothing to delete. */
  override async alarm(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }
}
