/**
 * What the phone and the watch have in common once a profile reached them: SCEP, check-in, the command protocol
 * and declarative management, every message signed with `Mdm-Signature` (facts 2, 3, 4, 8).
 */
import { Buffer } from 'node:buffer';
import { type Answer, answersOf, answerTo } from './answers.ts';
import { advanceApps } from './apps.ts';
import { OID, readName, type X509 } from './certificate.ts';
import { DeclarativeClient, type SyncLog, type SyncOptions } from './ddm.ts';
import type { Judgment } from './declarations.ts';
import { declarativeHost } from './declarative-host.ts';
import { type CertificateFact, type DeviceFacts, erase, setUp } from './facts.ts';
import { type Model, newFacts } from './inventory.ts';
import type { DeviceKey } from './keys.ts';
import { Manners } from './manners.ts';
import { machineInfo, mdmSignature, type SigningMode } from './messages.ts';
import { obtainCertificate } from './obtain.ts';
import { type PlistDict, writePlist } from './plist.ts';
import { type EnrollmentProfile, readEnrollmentProfile } from './profile.ts';
import type { Random } from './random.ts';
import type { ScepOptions } from './scep.ts';
import {
  type CommandStatus,
  type ConnectLog,
  type ConnectOptions,
  runSession,
  type Unsent,
} from './session.ts';
import {
  bearIdentity,
  type DeviceIdentity,
  exchange,
  type Outgoing,
  type Reply,
  SimulatorError,
  type World,
} from './world.ts';

export interface DeviceOptions {
  readonly udid?: string;
  readonly serial?: string;
  /** How traces call it. */
  readonly name?: string;
  readonly supervised?: boolean;
  /** The model's unless told. */
  readonly osVersion?: string;
  readonly keys?: { readonly identity?: DeviceKey; readonly mdm?: DeviceKey };
  readonly identity?: DeviceIdentity;
  /** RSA-1024 and SHA-1 in the device identity, like the genuine capture of facts 19.10. */
  readonly genuineIdentity?: boolean;
  /** `Mdm-Signature`: legacy is indefinite-length BER. Modern unless told. */
  readonly signing?: SigningMode;
  /** The CMS around MachineInfo: DER either way. Legacy unless told. */
  readonly machineInfo?: SigningMode;
  readonly scep?: ScepOptions;
}

export abstract class ManagedDevice {
  readonly world: World;
  readonly name: string;
  readonly udid: string;
  readonly serial: string;
  readonly model: Model;
  readonly supervised: boolean;
  readonly identity: DeviceIdentity;
  readonly dice: Random;
  readonly facts: DeviceFacts;
  readonly answers: Map<string, Answer>;
  readonly manners = new Manners();
  /** Results that the server took with a 2xx: a command in here must never come again. */
  readonly answered = new Map<string, CommandStatus>();
  readonly #options: DeviceOptions;
  readonly #key: DeviceKey;
  #certificate: X509 | null = null;
  #profile: EnrollmentProfile | null = null;
  #declarative: DeclarativeClient;
  /** What the last DeclarativeManagement command carried, until the run that it asked for is through. */
  #asked: { readonly tokens: Buffer | null } | null = null;
  readonly #unsent: { result: Unsent | null } = { result: null };
  #pushMagic = '';
  #pushToken = Buffer.alloc(0);

  constructor(world: World, model: Model, options: DeviceOptions) {
    this.world = world;
    this.model = options.osVersion === undefined ? model : { ...model, osVersion: options.osVersion };
    this.dice = world.random.fork();
    this.name = options.name ?? model.name;
    this.udid = options.udid ?? `0000${8100 + this.dice.int(300)}-${this.dice.hex(16)}`;
    this.serial = options.serial ?? `S${this.dice.hex(9)}`;
    this.supervised = options.supervised ?? true;
    this.#options = options;
    this.identity = options.identity ?? this.#bear();
    this.#key = options.keys?.mdm ?? world.keys.take();
    this.facts = newFacts(
      this.model,
      {
        udid: this.udid,
        serial: this.serial,
        supervised: this.supervised,
        identities: () => this.#identities(),
        enrollment: () => this.#profile,
        declared: (type) => this.#declared(type),
        push: () => ({ token: this.#pushToken, magic: this.#pushMagic }),
        download: (url, what) => this.exchange({ step: `GET ${what}`, method: 'GET', url, sent: what }),
      },
      this.dice,
    );
    this.answers = answersOf(this.facts);
    this.#declarative = new DeclarativeClient(declarativeHost(this));
  }

  get profile(): EnrollmentProfile | null {
    return this.#profile;
  }

  /** The certificate that SCEP gave it. */
  get certificate(): X509 | null {
    return this.#certificate;
  }

  get pushMagic(): string {
    return this.#pushMagic;
  }

  get pushToken(): Buffer {
    return this.#pushToken;
  }

  get declarations(): readonly Judgment[] {
    return this.#declarative.judgments;
  }

  get declarationsToken(): string | null {
    return this.#declarative.declarationsToken;
  }

  assetData(identifier: string): Buffer | null {
    return this.#declarative.assetData(identifier);
  }

  /** Of a legacy configuration. */
  profileData(identifier: string): Buffer | null {
    return this.#declarative.profileData(identifier);
  }

  /** Reads the profile, obtains the identity, then Authenticate and TokenUpdate: the order of facts 2. */
  async install(profileBytes: Uint8Array): Promise<void> {
    await this.installIdentity(profileBytes);
    await this.authenticate();
    await this.tokenUpdate();
  }

  /** The first half of `install`: profile and certificate, no check-in. */
  async installIdentity(profileBytes: Uint8Array): Promise<void> {
    const profile = readEnrollmentProfile(profileBytes, this.name);
    if (!profile.signMessage) throw this.error('SignMessage true: this device has no TLS client', 'no');
    this.#forget();
    setUp(this.facts);
    this.#profile = profile;
    this.#certificate = await this.#scep(profile, false);
    this.facts.profiles.set(profile.identifier, profile.document);
  }

  async authenticate(): Promise<void> {
    const { osVersion, build, product } = this.model;
    const message = {
      OSVersion: osVersion,
      BuildVersion: build,
      ProductName: product,
      SerialNumber: this.serial,
    };
    await this.#emptyCheckIn('Authenticate', { Topic: this.#enrolled().topic, ...message });
    if (this.#chance('doubleAuthenticate')) {
      await this.#emptyCheckIn('Authenticate', { Topic: this.#enrolled().topic, ...message });
    }
    this.#pushMagic = this.dice.uuid();
    this.#pushToken = Buffer.from(this.dice.bytes(32));
  }

  async tokenUpdate(options: { withoutUnlockToken?: boolean } = {}): Promise<void> {
    const unlock = options.withoutUnlockToken
      ? {}
      : { UnlockToken: this.facts.unlockToken ?? Buffer.alloc(0) };
    const message = {
      Topic: this.#enrolled().topic,
      Token: this.#pushToken,
      PushMagic: this.#pushMagic,
      ...unlock,
    };
    await this.#emptyCheckIn('TokenUpdate', message);
    if (this.#chance('doubleTokenUpdate')) await this.#emptyCheckIn('TokenUpdate', message);
  }

  /** The user removes the enrollment profile. */
  async checkOut(): Promise<void> {
    await this.#emptyCheckIn('CheckOut', { Topic: this.#enrolled().topic });
    this.#forget();
    this.unenrolled();
  }

  /** No more an enrolled device, and nobody was told: erased by hand, or by what its iPhone did. */
  reset(): void {
    erase(this.facts);
    this.#forget();
    this.unenrolled();
  }

  /** What the end of the enrollment does to the other device of the pair. */
  protected unenrolled(): void {}

  /** A new certificate for the same enrollment, asked for with the old one. */
  async renew(): Promise<void> {
    this.#certificate = await this.#scep(this.#enrolled(), true);
  }

  /**
   * One session: Idle, then a result for every command, until the server answers with nothing. Declarative management
   * that was asked for runs after it, as does what an earlier session that broke off was asked for; without either,
   * what changed on the device is reported. A command that ends the enrollment ends the session too.
   */
  async connect(options: ConnectOptions = {}): Promise<ConnectLog> {
    await advanceApps(this.facts);
    if (options.resume !== true) this.#unsent.result = null;
    const session = await runSession({
      unsent: this.#unsent,
      answered: this.answered,
      report: (fields, sent) => this.#report(fields, sent),
      answer: (requestType, command) => this.#answer(requestType, command, options),
      asked: (tokens) => {
        this.#asked = { tokens };
      },
      resends: () => this.#chance('resendResult'),
      isLeaving: () => this.facts.leaving !== null,
      error: (expected, got) => this.error(expected, got),
    });
    if (this.facts.leaving !== null) {
      await this.#leave();
      return { ...session, sync: null, reported: false };
    }
    const asked = this.#asked;
    if (asked === null) return { ...session, sync: null, reported: await this.#declarative.reportChanges() };
    const sync = await this.sync(asked.tokens === null ? {} : { tokens: asked.tokens });
    if (this.#asked === asked) this.#asked = null;
    return { ...session, sync, reported: sync.reported };
  }

  /** What follows a command that ended the enrollment. An erased device has nobody left to say it. */
  async #leave(): Promise<void> {
    if (this.facts.leaving === 'erased') return this.reset();
    if (this.#enrolled().checkOutWhenRemoved) return this.checkOut();
    this.#forget();
    this.unenrolled();
  }

  /** One run of declarative management. */
  sync(options: SyncOptions = {}): Promise<SyncLog> {
    return this.#declarative.sync(options);
  }

  /** Any check-in message; the reply is the caller's to judge. */
  checkIn(messageType: string, fields: PlistDict, sent = messageType): Promise<Reply> {
    const body = writePlist({ MessageType: messageType, UDID: this.udid, ...fields });
    const type = 'application/x-apple-aspen-mdm-checkin';
    return this.put(messageType, this.#enrolled().checkInUrl, type, body, sent);
  }

  /** A signed PUT of exactly these bytes: what every message of the device goes through. */
  put(step: string, url: string, contentType: string, body: Uint8Array, sent: string): Promise<Reply> {
    const headers = { 'content-type': contentType, 'mdm-signature': this.mdmSignature(body) };
    return this.exchange({ step, method: 'PUT', url, headers, body, sent });
  }

  mdmSignature(body: Uint8Array, mode: SigningMode = this.#options.signing ?? 'modern'): string {
    return mdmSignature(body, this.#key, this.#issued(), mode);
  }

  /** The CMS with which this device names itself. */
  machineInfo(extra: PlistDict = {}, mode: SigningMode = this.#options.machineInfo ?? 'legacy'): Buffer {
    const { product, build, osVersion } = this.model;
    const own = {
      UDID: this.udid,
      SERIAL: this.serial,
      PRODUCT: product,
      VERSION: build,
      OS_VERSION: osVersion,
    };
    return machineInfo({ ...own, LANGUAGE: 'en', ...extra }, this.identity, mode);
  }

  /** One POST of MachineInfo, as it is or as an attack changed it. */
  postMachineInfo(step: string, url: string, cms: Buffer, note?: string): Promise<Reply> {
    const headers = {
      'content-type': 'application/pkcs7-signature',
      'user-agent': 'CloudConfiguration/1.0',
      accept: '*/*',
    };
    const sent = `MachineInfo in CMS, ${cms.length.toLocaleString('en-US')} bytes`;
    const outgoing: Outgoing = { step, method: 'POST', url, headers, body: cms, sent };
    return this.exchange(note === undefined ? outgoing : { ...outgoing, note });
  }

  exchange(outgoing: Outgoing): Promise<Reply> {
    return exchange(this.world, this.name, outgoing);
  }

  error(expected: string, got: string): SimulatorError {
    return new SimulatorError(this.name, expected, got);
  }

  /** The profile bytes of a 200, whose type a device insists on. */
  profileOf(reply: Reply): Buffer {
    if (reply.contentType.split(';')[0] !== 'application/x-apple-aspen-config') {
      throw this.error('a profile as application/x-apple-aspen-config', reply.contentType);
    }
    return reply.body;
  }

  #scep(profile: EnrollmentProfile, renewal: boolean): Promise<X509> {
    const { world, name, udid } = this;
    const held = renewal ? this.#issued() : null;
    return obtainCertificate({ world, name, udid, key: this.#key, scep: this.#options.scep, held }, profile);
  }

  async #emptyCheckIn(messageType: string, fields: PlistDict): Promise<void> {
    const reply = await this.checkIn(messageType, fields);
    if (reply.status !== 200 || reply.body.length !== 0) {
      throw this.error(
        `200 and nothing for ${messageType}`,
        `${reply.status}, ${reply.body.toString().slice(0, 200)}`,
      );
    }
  }

  #report(fields: PlistDict, sent: string): Promise<Reply> {
    const body = writePlist({ UDID: this.udid, ...fields });
    const type = 'application/x-apple-aspen-mdm; charset=UTF-8';
    return this.put('connect', this.#enrolled().serverUrl, type, body, sent);
  }

  async #answer(requestType: string, command: PlistDict, options: ConnectOptions): Promise<PlistDict> {
    const delayMs = this.manners.delayMs(requestType);
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (options.notNow?.(requestType) === true || this.#chance('notNow')) return { Status: 'NotNow' };
    const instead = this.manners.instead(requestType, this.facts.locked);
    return instead ?? answerTo(this.answers, this.facts, requestType, command);
  }

  #chance(kind: keyof NonNullable<World['mischief']>): boolean {
    const probability = this.world.mischief?.[kind] ?? 0;
    return probability > 0 && this.dice.chance(probability);
  }

  #enrolled(): EnrollmentProfile {
    if (this.#profile === null) throw new Error(`${this.name} is not enrolled`);
    return this.#profile;
  }

  #issued(): X509 {
    if (this.#certificate === null) throw new Error(`${this.name} has no certificate`);
    return this.#certificate;
  }

  #forget(): void {
    this.#profile = null;
    this.#certificate = null;
    this.facts.leaving = null;
    this.facts.profiles.clear();
    this.facts.signers.clear();
    this.answered.clear();
    this.#unsent.result = null;
    this.#asked = null;
    this.#declarative = new DeclarativeClient(declarativeHost(this));
  }

  #bear(): DeviceIdentity {
    const key = this.#options.keys?.identity;
    return bearIdentity(this.world, {
      genuine: this.#options.genuineIdentity ?? false,
      ...(key === undefined ? {} : { key }),
    });
  }

  #identities(): CertificateFact[] {
    if (this.#certificate === null) return [];
    const name = readName(this.#certificate.subject).get(OID.commonName) ?? '';
    return [{ name, identity: true, der: this.#certificate.der }];
  }

  /** Active and valid configurations of a type: what they say, and the profile that they brought. */
  #declared(type: string) {
    return this.declarations
      .filter((one) => one.active && one.valid === 'valid' && one.declaration.type === type)
      .map(({ declaration: { identifier, payload } }) => ({
        payload,
        profile: this.profileData(identifier),
      }));
  }
}
