/**
 * Runs inside workerd: the whole server but its storage. The real wiring and HTTP surface stand before objects and a
 * database that answer from memory, with the decisions that the real ones make; recorded requests are played to it.
 * What is left out is what a real object adds around a decision: the call to it, and its SQL.
 */
import {
  decideAuthenticate,
  decideCaller,
  decideTokenUpdate,
} from '../../src/domain/enrollment/decisions.ts';
import type { DeviceDescription, HeldManifest } from '../../src/domain/enrollment/device.ts';
import type { Enrollment, ExpectedIdentity } from '../../src/domain/enrollment/state.ts';
import { decideConsume } from '../../src/domain/identity/credential.ts';
import type { IssuanceCell } from '../../src/domain/identity/issuance.ts';
import type { CredentialSubject } from '../../src/domain/identity/ports.ts';
import type { SerialNumber, Udid } from '../../src/domain/ids.ts';
import {
  type Challenge,
  decideChallenge,
  decideClaim,
  decideRedemption,
} from '../../src/domain/pairing/decisions.ts';
import type { PairingStore } from '../../src/domain/pairing/ports.ts';
import { createApp } from '../../src/http/app.ts';
import { ok, refuse } from '../../src/std/outcome.ts';
import { addMs, type EpochMs, epochMs, MINUTE_MS } from '../../src/std/time.ts';
import { servicesFor } from '../../src/wiring.ts';

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Base64; null for a GET. */
  readonly body: string | null;
  readonly status: number;
}

/** One watch's handshake, in order. */
export interface Recording {
  readonly udid: string;
  readonly serial: string;
  readonly phoneUdid: string;
  readonly requests: readonly RecordedRequest[];
}

function subjectOf({ udid, serial, phoneUdid }: Recording): CredentialSubject {
  const origin = { kind: 'pairing', pairingId: crypto.randomUUID(), phoneUdid: phoneUdid as Udid } as const;
  return { udid: udid as Udid, serial: serial as SerialNumber, platform: 'watchOS', origin };
}

const NONE = {
  topic: null,
  pushToken: null,
  pushMagic: null,
  unlockToken: null,
  bootstrapToken: null,
  productName: null,
  osVersion: null,
  buildVersion: null,
  supervised: null,
  enrolledAtMs: null,
  endedAtMs: null,
  presumedEnd: null,
} as const;
const LONG_AGO = epochMs(0);

function identityOf({ serial, platform, origin }: CredentialSubject, digest: string): ExpectedIdentity {
  const { pairingId, phoneUdid } = origin.kind === 'pairing' ? origin : { pairingId: null, phoneUdid: null };
  const rest = { renewalOf: null, issuedAtMs: LONG_AGO, permittedAtMs: null };
  return { digest, platform, serial, pairingId, phoneUdid, ...rest };
}

/** An object for `subject`; without one, the phone that hosts. */
function device(subject: CredentialSubject | undefined) {
  const identity = (digest: string) => (subject === undefined ? null : identityOf(subject, digest));
  const enrollment = (digest: string): Enrollment => ({
    ...NONE,
    ...{ enrollmentId: digest, pin: digest, state: subject === undefined ? 'enrolled' : 'authenticated' },
    ...{ platform: subject?.platform ?? 'iOS', serial: subject?.serial ?? ('PHONE' as Enrollment['serial']) },
    ...{ pairingId: identity(digest)?.pairingId ?? null, phoneUdid: identity(digest)?.phoneUdid ?? null },
    ...{ identityIssuedAtMs: LONG_AGO, startedAtMs: LONG_AGO },
  });
  return {
    expectIdentity: async () => {},
    async authenticate(digest: string, facts: Parameters<typeof decideAuthenticate>[3], nowMs: EpochMs) {
      const expected = identity(digest);
      const decided = decideAuthenticate(null, expected === null ? [] : [expected], digest, facts, nowMs);
      return decided.ok ? ok(null) : decided;
    },
    async updateTokens(digest: string, facts: Parameters<typeof decideTokenUpdate>[1], nowMs: EpochMs) {
      const caller = decideCaller(enrollment(digest), [], digest);
      if (!caller.ok) return caller;
      decideTokenUpdate(caller.value, facts, nowMs);
      return ok(null);
    },
    async read(digest: string) {
      const caller = decideCaller(enrollment(digest), [], digest);
      const held = { declarationsToken: null, changedAtMs: LONG_AGO, entries: [], bootstrapToken: null };
      return caller.ok ? ok<HeldManifest>({ ...held, platform: 'iOS' }) : caller;
    },
    async describe() {
      return { platform: 'iOS', state: 'enrolled', supervised: null } as DeviceDescription;
    },
  };
}

function challengeOf(facts: Partial<Challenge>, nowMs: EpochMs): Challenge {
  const ids = { securityToken: crypto.randomUUID(), pairingId: crypto.randomUUID() };
  const times = { issuedAtMs: nowMs, expiresAtMs: addMs(nowMs, MINUTE_MS), claimedAtMs: null };
  return { ...ids, ...times, serial: '' as Challenge['serial'], source: 'local', phoneUdid: null, ...facts };
}

const pairing: Omit<PairingStore, 'history'> = {
  async challenge(request) {
    const decided = decideChallenge([], { bySource: 0, byNetwork: 0, byWatch: 0 });
    return decided.ok ? ok(request.fresh) : decided;
  },
  async claim({ securityToken, phoneUdid, fault }, nowMs) {
    const challenge = challengeOf({ securityToken }, nowMs);
    const decided = decideClaim({ challenge, pairing: null }, { phoneUdid, fault });
    if (!decided.ok) return refuse({ kind: decided.refusal.kind, recorded: true });
    return ok({ pairingId: challenge.pairingId });
  },
  async redeem({ request, token, phone }, nowMs) {
    if (!token.ok) return { kind: 'refused', because: token.refusal.kind };
    const { phoneUdid, securityToken } = token.value;
    const { serial } = request;
    const challenge = challengeOf({ securityToken, serial, phoneUdid }, nowMs);
    const redeeming = { serial, token: token.value, phone };
    const decided = decideRedemption({ challenge, pairing: null }, redeeming);
    if (!decided.ok) return { kind: 'refused', because: decided.refusal.kind };
    return { kind: 'redeemed', pairingId: challenge.pairingId, phoneUdid };
  },
  progress: async () => ok(null),
};

/** Every credential is this watch's: which one plays is told before its request for a certificate comes. */
function issuance(
  subject: () => CredentialSubject,
): Pick<IssuanceCell, 'openCredential' | 'consumeCredential'> {
  return {
    openCredential: async () => {},
    async consumeCredential(claim, nowMs) {
      const { secretDigest } = claim;
      const record = { secretDigest, subject: subject(), expiresAtMs: addMs(nowMs, MINUTE_MS), use: null };
      return decideConsume(record, claim, nowMs).outcome;
    },
  };
}

const statement = {
  bind: () => statement,
  first: async () => ({ anchors: '[]', assigned_at_ms: 0 }),
  run: async () => ({ meta: { changes: 1 } }),
};

let recordings: readonly Recording[] = [];
let playing: CredentialSubject | null = null;

async function appFor(env: Env) {
  const subjects = new Map(recordings.map((one) => [one.udid, subjectOf(one)]));
  const cell = issuance(() => playing as CredentialSubject);
  const stand = (getByName: (name: string) => object) => ({ getByName });
  const bindings = {
    ...env,
    DEVICE: stand((udid) => device(subjects.get(udid))),
    PAIRING: stand(() => pairing),
    ISSUANCE: stand(() => cell),
    DB: { prepare: () => statement },
    RENDERED: {},
  };
  return createApp(await servicesFor(bindings as unknown as Env));
}

let app: ReturnType<typeof appFor> | null = null;
let signing: Promise<CryptoKey> | null = null;

async function play(env: Env, step: number, from: number, to: number): Promise<void> {
  app ??= appFor(env);
  const server = await app;
  for (const recording of recordings.slice(from, to)) {
    const recorded = recording.requests[step];
    if (recorded === undefined) throw new Error(`no step ${step}`);
    playing = subjectOf(recording);
    const { method, headers } = recorded;
    const body = recorded.body === null ? null : Uint8Array.fromBase64(recorded.body);
    const response = await server.fetch(new Request(recorded.url, { method, headers, body }));
    await response.arrayBuffer();
    if (response.status !== recorded.status) throw new Error(`step ${step}: ${response.status}`);
  }
}

async function signingKey(): Promise<CryptoKey> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 };
  const options = { ...algorithm, publicExponent: new Uint8Array([1, 0, 1]) };
  const pair = (await crypto.subtle.generateKey(options, false, ['sign', 'verify'])) as CryptoKeyPair;
  return pair.privateKey;
}

async function sign(times: number): Promise<void> {
  signing ??= signingKey();
  const key = await signing;
  const data = new Uint8Array(1000);
  for (let i = 0; i < times; i++) await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key, data);
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const of = (name: string) => Number(query.get(name));
    if (request.method === 'POST') recordings = await request.json();
    else if (query.has('sign')) await sign(of('sign'));
    else if (query.has('step')) await play(env, of('step'), of('from'), of('to'));
    return new Response('done');
  },
};
