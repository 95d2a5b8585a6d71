/**
 * Pairing for tests: the real objects and the real token keys, with a phone directory, a mint and a profile builder
 * that a test can look into. Times start a little before now, since an object's alarm runs on the runtime's clock.
 */
import { env } from 'cloudflare:workers';
import type { CredentialSubject } from '../../src/domain/identity/ports.ts';
import { parseSerialNumber, parseUdid, type SerialNumber, type Udid } from '../../src/domain/ids.ts';
import type {
  ClaimRequest,
  MachineInfoVerifier,
  PairingStore,
  PhoneStanding,
  Redemption,
  WatchRequest,
} from '../../src/domain/pairing/ports.ts';
import { PairingService } from '../../src/domain/pairing/service.ts';
import type { Pairing, TimelineEntry } from '../../src/domain/pairing/states.ts';
import type { PresentedToken } from '../../src/domain/pairing/token.ts';
import { tokenKeys } from '../../src/domain/pairing/verifiers.ts';
import { durablePairings } from '../../src/durable/pairing/pairings.ts';
import { PairingTokenKeys, type TokenIssuers } from '../../src/pki/jws.ts';
import { randomUuid } from '../../src/pki/random.ts';
import { type Bytes, utf8 } from '../../src/std/bytes.ts';
import { type Outcome, ok } from '../../src/std/outcome.ts';
import { addMs, type EpochMs, epochMs } from '../../src/std/time.ts';

export const PUBLIC_URL = 'https://mdm.example.com';
export const SERIAL = serial('SERIAL0001');

export function udid(text: string): Udid {
  return value(parseUdid(text));
}

export function serial(text: string): SerialNumber {
  return value(parseSerialNumber(text));
}

export function value<T>(outcome: Outcome<T, { readonly kind: string }>): T {
  if (!outcome.ok) throw new Error(`refused: ${outcome.refusal.kind}`);
  return outcome.value;
}

export function refusal<R extends { readonly kind: string }>(outcome: Outcome<unknown, R>): R {
  if (outcome.ok) throw new Error('not refused');
  return outcome.refusal;
}

let watches = 0;

/** A watch that no other test has. */
export function freshWatch(): Udid {
  watches += 1;
  return udid(`WATCH-${watches}-${randomUuid().slice(0, 8)}`);
}

export const PHONE = udid('PHONE-0001');
export const OTHER_PHONE = udid('PHONE-0002');

export function store(): PairingStore {
  return durablePairings(env.PAIRING);
}

export function now(offsetMs = 0): EpochMs {
  return addMs(epochMs(Date.now()), offsetMs);
}

export function watchRequest(watchUdid: Udid, over: Partial<WatchRequest> = {}): WatchRequest {
  const fresh = { securityToken: randomUuid(), pairingId: randomUuid() };
  return { watchUdid, serial: SERIAL, source: '192.0.2.1', signerForm: 'CN only', fresh, ...over };
}

export function claimRequest(
  watchUdid: Udid,
  securityToken: string,
  over: Partial<ClaimRequest> = {},
): ClaimRequest {
  return { watchUdid, phoneUdid: PHONE, securityToken, fault: null, ...over };
}

export function presented(securityToken: string, over: Partial<PresentedToken> = {}): PresentedToken {
  return { phoneUdid: PHONE, securityToken, tokenId: randomUuid(), foreignIssuer: null, ...over };
}

export function redemption(
  watchUdid: Udid,
  securityToken: string,
  over: Partial<Omit<Redemption, 'token'>> & { token?: Redemption['token'] } = {},
): Redemption {
  const token = ok(presented(securityToken));
  return { request: watchRequest(watchUdid), token, phone: null, ...over };
}

/** The steps of a timeline as `step` or `step!reason`. */
export function steps(timeline: readonly Pick<TimelineEntry, 'step' | 'reason'>[]): string[] {
  return timeline.map((entry) => (entry.reason ? `${entry.step}!${entry.reason}` : entry.step));
}

export async function newest(watchUdid: Udid): Promise<Pairing> {
  const [pairing] = await store().history(watchUdid);
  if (pairing === undefined) throw new Error('this watch has no pairing');
  return pairing;
}

export interface World {
  readonly service: PairingService;
  readonly keys: PairingTokenKeys;
  readonly minted: CredentialSubject[];
  /** Every other phone is not enrolled. */
  readonly standings: Map<string, PhoneStanding>;
  mintFails: boolean;
}

export async function pairingWorld(
  machineInfo: MachineInfoVerifier,
  issuers: TokenIssuers = { own: PUBLIC_URL },
  storeInUse: PairingStore = store(),
): Promise<World> {
  const keys = await PairingTokenKeys.import(env.TOKEN_KEYS);
  const minted: CredentialSubject[] = [];
  const standings = new Map<string, PhoneStanding>([[PHONE, 'hosting']]);
  const world = { keys, minted, standings, mintFails: false };
  const service = new PairingService({
    publicUrl: PUBLIC_URL,
    store: storeInUse,
    phones: { hosting: async (phone) => ({ kind: standings.get(phone) ?? 'not-enrolled' }) },
    mint: {
      async mint(subject, nowMs) {
        if (world.mintFails) throw new Error('the mint is closed');
        minted.push(subject);
        return { credentialId: 'credential', challenge: 'one-time', expiresAtMs: addMs(nowMs, 3_600_000) };
      },
    },
    machineInfo,
    tokens: tokenKeys(keys, issuers),
    profiles: { build: (subject, challenge): Bytes => utf8(`profile of ${subject.udid}: ${challenge}`) },
    newUuid: randomUuid,
  });
  return Object.assign(world, { service });
}
