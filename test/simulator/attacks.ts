/**
 * What someone would try against the pairing, each as one call that says what the server answered. Nothing here
 * judges: the demo and the tests do.
 */
import { Buffer } from 'node:buffer';
import type { DeviceOptions } from './device.ts';
import type { SimulatedPhone, TokenAnswer } from './phone.ts';
import type { RefusalDocument } from './refusal.ts';
import { type ProfileAnswer, SimulatedWatch } from './watch.ts';
import { createDeviceCa, type DeviceCa, type World } from './world.ts';

export interface AttackAnswer {
  readonly attack: string;
  readonly status: number;
  readonly document: RefusalDocument | null;
  /** True when the server gave what was wanted: a profile or a token. */
  readonly succeeded: boolean;
}

function fromProfile(attack: string, answer: ProfileAnswer): AttackAnswer {
  const { status, document, profile } = answer;
  return { attack, status, document: document ?? null, succeeded: profile !== undefined };
}

function fromToken(attack: string, answer: TokenAnswer): AttackAnswer {
  const { status, document, tokenData } = answer;
  return { attack, status, document: document ?? null, succeeded: tokenData !== undefined };
}

/** A watch whose identity comes from an authority that nobody trusts. */
export async function forgedWatch(
  world: World,
  options: DeviceOptions = {},
  ca?: DeviceCa,
): Promise<SimulatedWatch> {
  const rogue = { ...world, deviceCa: ca ?? createDeviceCa('Apple iPhone Device CA', world.keys.take()) };
  const watch = await SimulatedWatch.create(rogue, { name: 'forged Watch', ...options });
  return watch;
}

export async function forgedMachineInfo(world: World, url: string): Promise<AttackAnswer> {
  const watch = await forgedWatch(world);
  watch.useEnrollmentUrl(url);
  return fromProfile('forged MachineInfo', await watch.requestProfile());
}

/** Changes the serial number inside the content after it was signed. */
export async function changedMachineInfo(
  watch: SimulatedWatch,
  pairingToken?: Uint8Array,
): Promise<AttackAnswer> {
  const answer = await watch.requestProfile(pairingToken, (cms) =>
    replaceBytes(cms, watch.serial, otherThan(watch.serial)),
  );
  return fromProfile('changed MachineInfo', answer);
}

/** Bytes after the end of the CMS. */
export async function trailingBytes(watch: SimulatedWatch): Promise<AttackAnswer> {
  return fromProfile(
    'trailing bytes',
    await watch.requestProfile(undefined, (cms) => Buffer.concat([cms, cms])),
  );
}

/** The watch presents a token that was redeemed before. */
export async function replayedToken(watch: SimulatedWatch, pairingToken: Uint8Array): Promise<AttackAnswer> {
  return fromProfile('replayed token', await watch.requestProfile(pairingToken));
}

/** `thief` presents a token that was made for another watch. */
export async function tokenOfAnotherWatch(
  thief: SimulatedWatch,
  pairingToken: Uint8Array,
): Promise<AttackAnswer> {
  return fromProfile('token of another watch', await thief.requestProfile(pairingToken));
}

/** A phone that has no watch enrollment asks for a token, for a challenge that is real. */
export async function tokenFromUnassignedPhone(
  phone: SimulatedPhone,
  watch: SimulatedWatch,
): Promise<AttackAnswer> {
  const securityToken = await challengeOf(watch);
  const answer = await phone.getToken({ securityToken, watchUdid: watch.udid });
  return fromToken('token from an unassigned iPhone', answer);
}

/** PhoneUDID in the parameters names another phone than the one that asks. */
export async function phoneUdidMismatch(
  phone: SimulatedPhone,
  other: { readonly udid: string },
  watch: SimulatedWatch,
): Promise<AttackAnswer> {
  const securityToken = await challengeOf(watch);
  const answer = await phone.getToken({ securityToken, watchUdid: watch.udid, phoneUdid: other.udid });
  return fromToken('PhoneUDID of another iPhone', answer);
}

/** A security token that this server never issued. */
export async function inventedSecurityToken(
  phone: SimulatedPhone,
  watch: SimulatedWatch,
): Promise<AttackAnswer> {
  const securityToken = watch.dice.uuid();
  return fromToken('invented security token', await phone.getToken({ securityToken, watchUdid: watch.udid }));
}

/** A token past its time, or any other presented as it is. */
export async function presentedToken(
  attack: string,
  watch: SimulatedWatch,
  token: Uint8Array,
): Promise<AttackAnswer> {
  return fromProfile(attack, await watch.requestProfile(token));
}

/** The watch's first request, which must be answered with a challenge. */
export async function challengeOf(watch: SimulatedWatch): Promise<string> {
  const { securityToken, status } = await watch.requestProfile();
  if (securityToken === undefined) throw watch.error('a challenge', String(status));
  return securityToken;
}

/** Challenge and token, without presenting the token. */
export async function obtainToken(watch: SimulatedWatch, phone: SimulatedPhone): Promise<Buffer> {
  const securityToken = await challengeOf(watch);
  const { tokenData, status } = await phone.getToken({ securityToken, watchUdid: watch.udid });
  if (tokenData === undefined) throw phone.error('a pairing token', String(status));
  return tokenData;
}

/** Several watches, or one several times, present one token at the same moment. */
export function race(watches: readonly SimulatedWatch[], token: Uint8Array): Promise<ProfileAnswer[]> {
  return Promise.all(watches.map((watch) => watch.requestProfile(token)));
}

interface Jws {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly signature: string;
}

export function readJws(token: Uint8Array): Jws {
  const [header = '', claims = '', signature = ''] = Buffer.from(token).toString().split('.');
  const json = (part: string) =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  return { header: json(header), claims: json(claims), signature };
}

function writeJws({ header, claims, signature }: Jws): Buffer {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return Buffer.from(`${part(header)}.${part(claims)}.${signature}`);
}

/** The token with other claims under its old signature, which is then wrong. */
export function withClaims(token: Uint8Array, claims: Record<string, unknown>): Buffer {
  const jws = readJws(token);
  return writeJws({ ...jws, claims: { ...jws.claims, ...claims } });
}

/** `exp` moved; the signature no longer covers it. */
export function withExpiry(token: Uint8Array, exp: number): Buffer {
  return withClaims(token, { exp });
}

/** `alg: none` and no signature (RFC 8725 §2.1). */
export function unsigned(token: Uint8Array, claims: Record<string, unknown> = {}): Buffer {
  const jws = readJws(token);
  return writeJws({
    header: { ...jws.header, alg: 'none' },
    claims: { ...jws.claims, ...claims },
    signature: '',
  });
}

function otherThan(text: string): string {
  return `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`;
}

function replaceBytes(bytes: Buffer, from: string, to: string): Buffer {
  const at = bytes.indexOf(from);
  if (at < 0) throw new Error(`${from} is not in the message`);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(to), bytes.subarray(at + from.length)]);
}
