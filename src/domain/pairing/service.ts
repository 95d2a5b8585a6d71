/**
 * Pairing, end to end: a watch asks for its profile (`enroll`, design section 2 steps 2 and 4), its iPhone asks
 * for the pairing token (`claim`, step 3). Sequences ports around the object's decisions.
 *
 * A token of another trusted issuer: that server vouches for its phone, so no directory is asked; single use is
 * still kept here, where the challenge was issued. As a phone server for another's watch server we mint nothing:
 * a security token that was not issued here is unknown.
 *
 * If minting the credential fails after redemption the watch is told 503; its token is spent, so its retry earns
 * a fresh challenge and the phone claims again. Redeeming later instead would leave credentials for lost races.
 */
import { PAIRING_TOKEN_CHARACTERS_MAX } from '../../pki/jws.ts';
import { type Bytes, readUtf8, utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CredentialMint } from '../identity/ports.ts';
import type { VerifiedDevice } from '../identity/verified-device.ts';
import { parseUdid, type Udid } from '../ids.ts';
import type {
  DeviceInfo,
  MachineInfoRefusal,
  MachineInfoVerifier,
  PairingStore,
  PhoneDirectory,
  PhoneStanding,
  ProfileBuilder,
  TokenKeys,
  WatchRequest,
} from './ports.ts';
import type { ChallengeReason, ClaimReason, PhoneReason, RedemptionReason } from './states.ts';
import { checkClaims, type PresentedToken, pairingClaims, type TokenRefusal } from './token.ts';

/** `recorded`: it stands on the timeline of the watch. Otherwise the log is its only trace. */
export type PairingRefusal = { readonly kind: ClaimReason; readonly recorded: boolean };

/** As they came in `TokenParameters`; the schema makes each optional, this service needs all three. */
export interface ClaimParams {
  readonly securityToken: string | null | undefined;
  readonly phoneUdid: string | null | undefined;
  readonly watchUdid: string | null | undefined;
}

export type EnrollRefusal =
  | MachineInfoRefusal
  | { readonly kind: 'not-a-watch'; readonly product: string }
  | { readonly kind: ChallengeReason | RedemptionReason };

/** `device` is absent where nothing verified. */
export type EnrollAnswer =
  | {
      readonly kind: 'profile';
      readonly device: DeviceInfo;
      readonly pairingId: string;
      readonly profile: Bytes;
    }
  | {
      readonly kind: 'challenge';
      readonly device: DeviceInfo;
      readonly pairingId: string;
      readonly securityToken: string;
      /** Why the token that came with the request was not redeemed; `null` when none came. */
      readonly because: RedemptionReason | null;
    }
  | { readonly kind: 'refused'; readonly device: DeviceInfo | null; readonly refusal: EnrollRefusal };

export interface PairingPorts {
  readonly publicUrl: string;
  readonly store: PairingStore;
  readonly phones: PhoneDirectory;
  readonly mint: CredentialMint;
  readonly machineInfo: MachineInfoVerifier;
  readonly tokens: TokenKeys;
  readonly profiles: ProfileBuilder;
  /** A random UUID, upper case. */
  readonly newUuid: () => string;
  /** How long a token may be used, when the deployment wants less than TOKEN_LIFE_MS. */
  readonly tokenLifeMs?: number;
}

export class PairingService {
  readonly #ports: PairingPorts;

  constructor(ports: PairingPorts) {
    this.#ports = ports;
  }

  /** The `TokenData` for a phone that hosts this watch, or why not. */
  async claim(
    device: VerifiedDevice,
    params: ClaimParams,
    nowMs: EpochMs,
  ): Promise<Outcome<Bytes, PairingRefusal>> {
    const { store, tokens, publicUrl, newUuid } = this.#ports;
    const watch = parseUdid(params.watchUdid);
    const { securityToken } = params;
    if (!watch.ok || !params.phoneUdid || !securityToken || securityToken.length > 128) {
      return refuse({ kind: 'parameters-missing', recorded: false });
    }
    const fault: ClaimReason | null =
      params.phoneUdid === device.udid ? await this.#phoneReason(device.udid) : 'phone-mismatch';
    const claim = { watchUdid: watch.value, phoneUdid: device.udid, securityToken };
    const claimed = await store.claim({ ...claim, fault }, nowMs);
    if (!claimed.ok) return claimed;
    const minting = { ...claim, publicUrl, tokenId: newUuid() };
    return ok(utf8(await tokens.sign(pairingClaims(minting, nowMs, this.#ports.tokenLifeMs))));
  }

  /** A watch's signed MachineInfo, with or without its pairing token. */
  async enroll(cms: Bytes, source: string, nowMs: EpochMs): Promise<EnrollAnswer> {
    const verified = await this.#ports.machineInfo.verify(cms, nowMs);
    if (!verified.ok) return { kind: 'refused', device: null, refusal: verified.refusal };
    const device = verified.value;
    if (!device.product.startsWith('Watch')) {
      return { kind: 'refused', device, refusal: { kind: 'not-a-watch', product: device.product } };
    }
    const request: WatchRequest = {
      watchUdid: device.udid,
      serial: device.serial,
      source,
      signerForm: device.signerForm,
      fresh: { securityToken: this.#ports.newUuid(), pairingId: this.#ports.newUuid() },
    };
    if (device.pairingToken !== null) return this.#redeem(device, device.pairingToken, request, nowMs);
    const issued = await this.#ports.store.challenge(request, nowMs);
    if (!issued.ok) return { kind: 'refused', device, refusal: issued.refusal };
    return { kind: 'challenge', device, ...issued.value, because: null };
  }

  async #redeem(
    device: DeviceInfo,
    pairingToken: Bytes,
    request: WatchRequest,
    nowMs: EpochMs,
  ): Promise<EnrollAnswer> {
    const token = await this.#verifyToken(pairingToken, device.udid, nowMs);
    const ours = token.ok && token.value.foreignIssuer === null;
    const phone = ours ? await this.#phoneReason(token.value.phoneUdid) : null;
    const answer = await this.#ports.store.redeem({ request, token, phone }, nowMs);
    switch (answer.kind) {
      case 'redeemed': {
        const { pairingId, phoneUdid } = answer;
        const origin = { kind: 'pairing', pairingId, phoneUdid } as const;
        const { udid, serial } = device;
        const subject = { udid, serial, platform: 'watchOS', origin } as const;
        const credential = await this.#ports.mint.mint(subject, nowMs);
        const profile = await this.#ports.profiles.build(subject, credential.challenge);
        return { kind: 'profile', device, pairingId, profile };
      }
      case 'challenge':
        return { kind: 'challenge', device, ...answer.challenge, because: answer.because };
      case 'refused':
        return { kind: 'refused', device, refusal: { kind: answer.because } };
      default:
        return answer satisfies never;
    }
  }

  /** Signature and issuer, then the claims, in the design's order. */
  async #verifyToken(
    bytes: Bytes,
    watchUdid: Udid,
    nowMs: EpochMs,
  ): Promise<Outcome<PresentedToken, TokenRefusal>> {
    const text = bytes.length <= PAIRING_TOKEN_CHARACTERS_MAX ? readUtf8(bytes) : null;
    if (text === null) return refuse({ kind: 'token-malformed', securityToken: null });
    const claims = await this.#ports.tokens.verify(text);
    if (!claims.ok) return refuse({ kind: claims.refusal.kind, securityToken: null });
    return checkClaims(claims.value, { publicUrl: this.#ports.publicUrl, watchUdid }, nowMs);
  }

  async #phoneReason(phoneUdid: Udid): Promise<PhoneReason | null> {
    return PHONE_REASONS[(await this.#ports.phones.hosting(phoneUdid)).kind];
  }
}

const PHONE_REASONS: Readonly<Record<PhoneStanding, PhoneReason | null>> = {
  hosting: null,
  'not-enrolled': 'phone-not-enrolled',
  'not-assigned': 'phone-not-assigned',
  unsupervised: 'phone-unsupervised',
};
