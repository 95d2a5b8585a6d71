/**
 * The check-in protocol: what each message of a verified device leads to (handbook sections 2 and 4). Secrets are
 * sealed before they reach the device's object. The user channel is declined; nothing here ever answers 401.
 */
import type { CheckInMessage, GetToken, TokenUpdate } from '../../protocol/mdm/checkin.ts';
import { WATCH_PAIRING_SERVICE } from '../../protocol/mdm/checkin.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DdmRefusal, DeclarativeManagementService } from '../declaration/ddm.ts';
import type { VerifiedDevice } from '../identity/verified-device.ts';
import type { Udid } from '../ids.ts';
import type { Devices } from './device.ts';
import type { DeviceRefusal } from './state.ts';

export type CheckInAnswer =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'token-data'; readonly token: Bytes }
  | { readonly kind: 'bootstrap-token'; readonly token: Bytes | null }
  | { readonly kind: 'declarative'; readonly body: Bytes };

export type CheckInServiceRefusal =
  | DeviceRefusal
  | DdmRefusal
  /** The message speaks for another device than the one that signed it. */
  | { readonly kind: 'udid-mismatch' }
  /** UserAuthenticate: 410 is how a server says that it manages no users. */
  | { readonly kind: 'user-channel-declined' }
  | { readonly kind: 'user-channel' }
  | { readonly kind: 'token-service-unknown' }
  /** The pairing says why on the watch's timeline; the phone learns that there is no token. */
  | { readonly kind: 'pairing-token-refused'; readonly reason: string };

export interface WatchPairingClaims {
  claim(
    device: VerifiedDevice,
    parameters: { readonly securityToken: string; readonly phoneUdid: Udid; readonly watchUdid: Udid },
    nowMs: EpochMs,
  ): Promise<Outcome<Bytes, { readonly kind: string }>>;
}

/** Seals secrets for one device at rest; `purpose` is bound into the seal. */
export interface DeviceSeal {
  seal(udid: Udid, purpose: 'unlock-token' | 'bootstrap-token', secret: Bytes): Promise<Bytes>;
  open(udid: Udid, purpose: 'unlock-token' | 'bootstrap-token', sealed: Bytes): Promise<Bytes>;
}

type Answer = Promise<Outcome<CheckInAnswer, CheckInServiceRefusal>>;

const ACCEPTED = ok({ kind: 'accepted' } as const);

export class CheckInService {
  readonly #devices: Devices;
  readonly #declarations: DeclarativeManagementService;
  readonly #pairing: WatchPairingClaims;
  readonly #seal: DeviceSeal;

  constructor(options: {
    readonly devices: Devices;
    readonly declarations: DeclarativeManagementService;
    readonly pairing: WatchPairingClaims;
    readonly seal: DeviceSeal;
  }) {
    this.#devices = options.devices;
    this.#declarations = options.declarations;
    this.#pairing = options.pairing;
    this.#seal = options.seal;
  }

  async handle(device: VerifiedDevice, message: CheckInMessage, nowMs: EpochMs): Answer {
    if (message.udid !== device.udid) return refuse({ kind: 'udid-mismatch' });
    const object = this.#devices.of(device.udid);
    const digest = device.certificateDigest;
    switch (message.type) {
      case 'Authenticate': {
        const { topic, serial, productName, osVersion, buildVersion } = message;
        const facts = { topic, serial, productName, osVersion, buildVersion };
        return accepted(await object.authenticate(digest, facts, nowMs));
      }
      case 'TokenUpdate':
        return this.#updateTokens(device, message, nowMs);
      case 'CheckOut':
        return accepted(await object.checkOut(digest, nowMs));
      case 'GetToken':
        return this.#getToken(device, message, nowMs);
      case 'DeclarativeManagement':
        return this.#declarations.handle(device, message, nowMs);
      case 'SetBootstrapToken': {
        const token = message.bootstrapToken;
        const sealed = token === null ? null : await this.#seal.seal(device.udid, 'bootstrap-token', token);
        return accepted(await object.saveBootstrapToken(digest, sealed, nowMs));
      }
      case 'GetBootstrapToken': {
        const held = await object.read(digest, nowMs);
        if (!held.ok) return held;
        const sealed = held.value.bootstrapToken;
        const token = sealed === null ? null : await this.#seal.open(device.udid, 'bootstrap-token', sealed);
        return ok({ kind: 'bootstrap-token', token });
      }
      case 'UserAuthenticate':
        return refuse({ kind: 'user-channel-declined' });
      case 'UserChannel':
        return refuse({ kind: 'user-channel' });
      default:
        return message satisfies never;
    }
  }

  async #updateTokens(device: VerifiedDevice, message: TokenUpdate, nowMs: EpochMs): Answer {
    const { topic, token, pushMagic, unlockToken } = message;
    const sealed =
      unlockToken === null ? null : await this.#seal.seal(device.udid, 'unlock-token', unlockToken);
    const facts = { topic, pushToken: token, pushMagic, unlockToken: sealed };
    return accepted(await this.#devices.of(device.udid).updateTokens(device.certificateDigest, facts, nowMs));
  }

  /** The caller must be the enrolled device that its certificate names before pairing is asked anything. */
  async #getToken(device: VerifiedDevice, message: GetToken, nowMs: EpochMs): Answer {
    const caller = await this.#devices.of(device.udid).read(device.certificateDigest, nowMs);
    if (!caller.ok) return caller;
    if (message.service !== WATCH_PAIRING_SERVICE || message.watchPairing === null) {
      return refuse({ kind: 'token-service-unknown' });
    }
    const token = await this.#pairing.claim(device, message.watchPairing, nowMs);
    if (!token.ok) return refuse({ kind: 'pairing-token-refused', reason: token.refusal.kind });
    return ok({ kind: 'token-data', token: token.value });
  }
}

function accepted(outcome: Outcome<null, DeviceRefusal>): Outcome<CheckInAnswer, DeviceRefusal> {
  return outcome.ok ? ACCEPTED : outcome;
}
