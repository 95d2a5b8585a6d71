/**
 * The watch: asks for its profile, carries the security token to the phone and the pairing token back, installs
 * what it gets, and is a managed device from then on (facts 5, steps 2 to 10).
 */
import { Buffer } from 'node:buffer';
import { COMMON_CONFIGURATIONS } from './ddm.ts';
import { type DeviceOptions, ManagedDevice } from './device.ts';
import { erase } from './facts.ts';
import type { SimulatedPhone } from './phone.ts';
import { type RefusalDocument, readRefusal } from './refusal.ts';
import { ScepFailure } from './scep.ts';
import type { World } from './world.ts';

const WATCH = {
  name: 'Watch',
  modelName: 'Apple Watch Series 11',
  product: 'Watch7,20',
  osVersion: '26.1',
  build: '23S35',
  family: 'Watch',
  configurations: COMMON_CONFIGURATIONS,
} as const;

const TOKEN_MISSING = 'com.apple.watch.pairing.token.missing';

export interface ProfileAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly document?: RefusalDocument;
  /** The security token of a `com.apple.watch.pairing.token.missing` document. */
  readonly securityToken?: string;
  readonly profile?: Buffer;
}

export interface PairingOptions {
  /** How many challenges it follows before it gives up. */
  readonly challengesMax?: number;
  /** Where to ask; what the phone's configuration says unless told. */
  readonly url?: string;
}

export type PairingOutcome =
  | { readonly kind: 'enrolled'; readonly challenges: number }
  | {
      readonly kind: 'refused';
      /** Which request was refused: the watch's, the phone's, or the one for the certificate. */
      readonly at: 'configuration' | 'profile' | 'token' | 'identity';
      readonly status: number;
      readonly document: RefusalDocument | null;
    };

export class SimulatedWatch extends ManagedDevice {
  #url: string | null = null;
  #phone: SimulatedPhone | null = null;

  static async create(world: World, options: DeviceOptions = {}): Promise<SimulatedWatch> {
    return new SimulatedWatch(world, WATCH, options);
  }

  /** The whole pairing, in Apple's order. A refusal is an outcome; only misbehavior is thrown. */
  async pairWith(phone: SimulatedPhone, options: PairingOptions = {}): Promise<PairingOutcome> {
    const url = options.url ?? phone.watchEnrollmentUrl();
    if (url === null) return { kind: 'refused', at: 'configuration', status: 0, document: null };
    this.#url = url;
    let answer = await this.requestProfile();
    const challengesMax = options.challengesMax ?? 3;
    for (
      let challenges = 1;
      challenges <= challengesMax && answer.securityToken !== undefined;
      challenges++
    ) {
      const { securityToken } = answer;
      const token = await phone.getToken({ securityToken, watchUdid: this.udid });
      if (token.tokenData === undefined) {
        return { kind: 'refused', at: 'token', status: token.status, document: token.document ?? null };
      }
      answer = await this.requestProfile(token.tokenData);
      if (answer.profile !== undefined) return this.#installed(phone, answer.profile, challenges);
    }
    return { kind: 'refused', at: 'profile', status: answer.status, document: answer.document ?? null };
  }

  /** Where `requestProfile` asks, for a watch that does not go through `pairWith`. */
  useEnrollmentUrl(url: string): void {
    this.#url = url;
  }

  /** One POST to the EnrollmentProfileURL. The finished CMS passes through `tamper`. */
  async requestProfile(pairingToken?: Uint8Array, tamper?: (cms: Buffer) => Buffer): Promise<ProfileAnswer> {
    const cms = this.machineInfo(
      pairingToken === undefined ? {} : { PAIRING_TOKEN: Buffer.from(pairingToken) },
    );
    const url = this.#url ?? `${this.world.baseUrl}/enroll/watch`;
    const note = pairingToken === undefined ? 'no PAIRING_TOKEN' : 'with PAIRING_TOKEN';
    const reply = await this.postMachineInfo('POST /enroll/watch', url, tamper?.(cms) ?? cms, note);
    const answer = { status: reply.status, contentType: reply.contentType };
    if (reply.status === 200) return { ...answer, profile: this.profileOf(reply) };
    const document = readRefusal(reply);
    if (document === null) return answer;
    if (document.code !== TOKEN_MISSING) return { ...answer, document };
    return { ...answer, document, securityToken: this.#securityToken(reply.status, document) };
  }

  /** Facts 5, step 4: 403, and a security token that is a random UUID. */
  #securityToken(status: number, document: RefusalDocument): string {
    if (status !== 403) throw this.error(`403 with ${TOKEN_MISSING}`, String(status));
    const token = document.details?.['security-token'];
    if (typeof token !== 'string' || !/^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/.test(token)) {
      throw this.error('a UUID as details.security-token', String(token));
    }
    return token;
  }

  async #installed(phone: SimulatedPhone, profile: Buffer, challenges: number): Promise<PairingOutcome> {
    try {
      await this.install(profile);
    } catch (error) {
      if (!(error instanceof ScepFailure)) throw error;
      return { kind: 'refused', at: 'identity', status: 200, document: { code: error.failInfo } };
    }
    this.pairedTo(phone);
    return { kind: 'enrolled', challenges };
  }

  /** From here on the two share a fate, for a watch that does not go through `pairWith`. */
  pairedTo(phone: SimulatedPhone): void {
    this.#phone?.watches.delete(this);
    this.#phone = phone;
    phone.watches.add(this);
    this.facts.host = phone.facts;
  }

  get phone(): SimulatedPhone | null {
    return this.#phone;
  }

  /** Without its enrollment a watch is unpaired and erased; its iPhone's enrollment goes on (facts 14). */
  protected override unenrolled(): void {
    this.#phone?.watches.delete(this);
    this.#phone = null;
    erase(this.facts);
  }
}
