/**
 * The iPhone: enrolls by a one-time link or by MachineInfo, holds the watch enrollment configuration, and fetches
 * pairing tokens for the watch next to it (facts 5, steps 1 and 6).
 */
import { Buffer } from 'node:buffer';
import { COMMON_CONFIGURATIONS } from './ddm.ts';
import { type DeviceOptions, ManagedDevice } from './device.ts';
import { WATCH_ENROLLMENT } from './inventory.ts';
import type { PlistDict } from './plist.ts';
import { readDict } from './plist.ts';
import { type RefusalDocument, readRefusal } from './refusal.ts';
import { forbidsPairedWatch } from './restrictions.ts';
import type { ConnectLog, ConnectOptions } from './session.ts';
import type { SimulatedWatch } from './watch.ts';
import type { World } from './world.ts';

const IPHONE = {
  name: 'iPhone',
  modelName: 'iPhone 16',
  product: 'iPhone17,3',
  osVersion: '26.1',
  build: '23B85',
  family: 'iPhone',
  configurations: [...COMMON_CONFIGURATIONS, WATCH_ENROLLMENT],
} as const;

export interface TokenRequest {
  readonly securityToken: string;
  readonly watchUdid: string;
  /** Its own UDID unless told, which is an attack. */
  readonly phoneUdid?: string;
  readonly serviceType?: string;
}

export interface TokenAnswer {
  readonly status: number;
  readonly tokenData?: Buffer;
  readonly document?: RefusalDocument;
}

export class SimulatedPhone extends ManagedDevice {
  /** Paired to it and managed. */
  readonly watches = new Set<SimulatedWatch>();

  static async create(world: World, options: DeviceOptions = {}): Promise<SimulatedPhone> {
    return new SimulatedPhone(world, IPHONE, options);
  }

  /** The profile is bare or signed; either way this is the phone that the link was made for. */
  async enrollByLink(url: string): Promise<void> {
    const reply = await this.exchange({ step: 'GET link', method: 'GET', url, sent: 'one-time link' });
    if (reply.status !== 200)
      throw this.error('200 for the link', `${reply.status} ${reply.body.toString()}`);
    await this.install(this.profileOf(reply));
  }

  /** Automated Device Enrollment: the server must expect this serial number. */
  async enrollByMachineInfo(): Promise<void> {
    const cms = this.machineInfo({ MDM_CAN_REQUEST_SOFTWARE_UPDATE: true });
    const reply = await this.postMachineInfo('POST /enroll/phone', `${this.world.baseUrl}/enroll/phone`, cms);
    if (reply.status !== 200)
      throw this.error('200 for /enroll/phone', `${reply.status} ${reply.body.toString()}`);
    await this.install(this.profileOf(reply));
  }

  /** From the configuration, once it is applied and active. */
  watchEnrollmentUrl(): string | null {
    const found = this.declarations.find((one) => one.declaration.type === WATCH_ENROLLMENT && one.active);
    const url = found?.declaration.payload['EnrollmentProfileURL'];
    return typeof url === 'string' ? url : null;
  }

  async getToken(request: TokenRequest): Promise<TokenAnswer> {
    if (!this.profile?.serverCapabilities.includes('com.apple.mdm.token')) {
      throw this.error('com.apple.mdm.token in ServerCapabilities', String(this.profile?.serverCapabilities));
    }
    const reply = await this.checkIn('GetToken', {
      TokenServiceType: request.serviceType ?? 'com.apple.watch.pairing',
      TokenParameters: {
        SecurityToken: request.securityToken,
        PhoneUDID: request.phoneUdid ?? this.udid,
        WatchUDID: request.watchUdid,
      },
    });
    if (reply.status !== 200) {
      const document = readRefusal(reply);
      return document === null ? { status: reply.status } : { status: reply.status, document };
    }
    return { status: 200, tokenData: this.#data(readDict(reply.body), 'TokenData') };
  }

  async setBootstrapToken(data: Uint8Array): Promise<void> {
    const reply = await this.checkIn('SetBootstrapToken', { BootstrapToken: Buffer.from(data) });
    if (reply.status !== 200) throw this.error('200 for SetBootstrapToken', String(reply.status));
  }

  async getBootstrapToken(): Promise<Buffer | null> {
    const reply = await this.checkIn('GetBootstrapToken', {});
    if (reply.status !== 200) throw this.error('200 for GetBootstrapToken', String(reply.status));
    if (reply.body.length === 0) return null;
    const document = readDict(reply.body);
    return document['BootstrapToken'] === undefined ? null : this.#data(document, 'BootstrapToken');
  }

  override async connect(options: ConnectOptions = {}): Promise<ConnectLog> {
    const log = await super.connect(options);
    if (forbidsPairedWatch(this.facts)) this.#resetWatches();
    return log;
  }

  /** Its managed watches are unenrolled, unpaired and reset (facts 14). */
  protected override unenrolled(): void {
    this.#resetWatches();
  }

  #resetWatches(): void {
    for (const watch of [...this.watches]) watch.reset();
  }

  #data(document: PlistDict, key: string): Buffer {
    const value = document[key];
    if (!(value instanceof Uint8Array) || value.length === 0)
      throw this.error(`${key} as data`, typeof value);
    return Buffer.from(value);
  }
}
