/**
 * What the phone and the watch have in common once a profile reached them: SCEP, check-in, the command protocol
 * and declarative management, every message signed with `Mdm-Signature` (facts 2, 3, 4, 8).
 */
import { Buffer } from 'node:buffer';
import { type Answer, type DeviceFacts, refusal, unknownCommand, watchAnswers } from './answers.ts';
import { OID, readName, type X509 } from './certificate.ts';
import { sign } from './cms.ts';
import { DeclarativeClient, type SyncLog, type SyncOptions } from './ddm.ts';
import type { Json, Judgment } from './declarations.ts';
import type { DeviceKey, Hash } from './keys.ts';
import { type Plist, type PlistDict, readDict, writePlist } from './plist.ts';
import { type EnrollmentProfile, readEnrollmentProfile } from './profile.ts';
import type { Random } from './random.ts';
import { ScepClient, type ScepOptions } from './scep.ts';
import {
  bearIdentity,
  type DeviceIdentity,
  exchange,
  type Outgoing,
  type Reply,
  SimulatorError,
  type World,
} from './world.ts';

/** `legacy` is SHA-1 without signed attributes, as old devices do; `modern` SHA-256 with them (facts 19.1). */
export type SigningMode = 'legacy' | 'modern';

export interface DeviceOptions {
  readonly udid?: string;
  readonly serial?: string;
  /** How traces call it. */
  readonly name?: string;
  readonly supervised?: boolean;
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

export interface Model {
  readonly name: string;
  readonly modelName: string;
  readonly product: string;
  readonly osVersion: string;
  readonly build: string;
  readonly family: string;
  readonly configurations: readonly string[];
}

export type CommandStatus = 'Acknowledged' | 'Error' | 'CommandFormatError' | 'NotNow';

export interface AnsweredCommand {
  readonly commandUuid: string;
  readonly requestType: string;
  readonly status: CommandStatus;
}

export interface ConnectLog {
  readonly commands: readonly AnsweredCommand[];
  /** The run of declarative management that a command asked for, if one did. */
  readonly sync: SyncLog | null;
}

export interface ConnectOptions {
  /** True answers NotNow instead. */
  readonly notNow?: (requestType: string) => boolean;
}

/** A server that never ends a session is wrong, or has a test's whole queue in it. */
const COMMANDS_PER_SESSION_MAX = 2000;

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
  /** Results that the server took with a 2xx: a command in here must never come again. */
  readonly answered = new Map<string, CommandStatus>();
  readonly #options: DeviceOptions;
  readonly #key: DeviceKey;
  #certificate: X509 | null = null;
  #profile: EnrollmentProfile | null = null;
  #declarative: DeclarativeClient;
  #pushMagic = '';
  #pushToken = Buffer.alloc(0);

  constructor(world: World, model: Model, options: DeviceOptions) {
    this.world = world;
    this.model = model;
    this.dice = world.random.fork();
    this.name = options.name ?? model.name;
    this.udid = options.udid ?? `0000${8100 + this.dice.int(300)}-${this.dice.hex(16)}`;
    this.serial = options.serial ?? `S${this.dice.hex(9)}`;
    this.supervised = options.supervised ?? true;
    this.#options = options;
    this.identity = options.identity ?? this.#bear();
    this.#key = options.keys?.mdm ?? world.keys.take();
    this.facts = this.#facts();
    this.answers = watchAnswers(this.facts);
    this.answers.set('InstallProfile', (command) => this.#installProfile(command));
    this.#declarative = this.#newDeclarative();
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

  async checkOut(): Promise<void> {
    await this.#emptyCheckIn('CheckOut', { Topic: this.#enrolled().topic });
    this.#forget();
  }

  /** A new certificate for the same enrollment, asked for with the old one. */
  async renew(): Promise<void> {
    this.#certificate = await this.#scep(this.#enrolled(), true);
  }

  /** One session: Idle, then a result for every command, until the server answers with nothing. */
  async connect(options: ConnectOptions = {}): Promise<ConnectLog> {
    const commands: AnsweredCommand[] = [];
    const deferred = new Map<string, number>();
    let tokens: Buffer | undefined;
    let asked = false;
    let command = await this.#report({ Status: 'Idle' }, 'Idle');
    while (command !== null) {
      const { commandUuid, requestType, body } = command;
      this.#checkDelivery(commandUuid, deferred, commands.length);
      const result = this.#answer(requestType, body, options);
      const status = String(result['Status']) as CommandStatus;
      if (requestType === 'DeclarativeManagement' && status === 'Acknowledged') {
        asked = true;
        tokens = body['Data'] instanceof Uint8Array ? Buffer.from(body['Data']) : undefined;
      }
      const message = { ...result, CommandUUID: commandUuid };
      command = await this.#report(message, `${requestType} ${status}`);
      if (this.#chance('resendResult'))
        command = await this.#report(message, `${requestType} ${status}, again`);
      commands.push({ commandUuid, requestType, status });
      if (status === 'NotNow') deferred.set(commandUuid, (deferred.get(commandUuid) ?? 0) + 1);
      else this.answered.set(commandUuid, status);
    }
    const sync = asked ? await this.sync(tokens === undefined ? {} : { tokens }) : null;
    if (this.facts.erased) this.#forget();
    return { commands, sync };
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
    const cms = sign(body, {
      key: this.#key,
      certificate: this.#issued(),
      detached: true,
      ...(mode === 'legacy'
        ? { hash: 'SHA-1' as Hash, signedAttributes: false, encoding: 'ber' }
        : { hash: 'SHA-256' as Hash, signingTimeMs: Date.now() }),
    });
    return cms.toString('base64');
  }

  /** The CMS that names the device: content, signer and chain inside (facts 7). */
  machineInfo(extra: PlistDict = {}, mode: SigningMode = this.#options.machineInfo ?? 'legacy'): Buffer {
    const content = writePlist({
      UDID: this.udid,
      SERIAL: this.serial,
      PRODUCT: this.model.product,
      VERSION: this.model.build,
      OS_VERSION: this.model.osVersion,
      LANGUAGE: 'en',
      ...extra,
    });
    const { key, certificate, chain } = this.identity;
    const legacy = mode === 'legacy';
    return sign(content, {
      key,
      certificate,
      chain,
      hash: legacy ? 'SHA-1' : 'SHA-256',
      signedAttributes: !legacy,
    });
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

  async #scep(profile: EnrollmentProfile, renewal: boolean): Promise<X509> {
    const { url, challenge, subject, caFingerprint } = profile.scep;
    const { certificate, ca } = await new ScepClient(this.world, this.name).enroll({
      url,
      subject,
      key: this.#key,
      challenge,
      ...this.#options.scep,
      ...(caFingerprint === null ? {} : { caFingerprint }),
      ...(renewal ? { signer: { key: this.#key, certificate: this.#issued() } } : {}),
    });
    const known = profile.anchors.length === 0 || profile.anchors.some((anchor) => anchor.der.equals(ca.der));
    if (!known) throw this.error('a certificate that chains to a certificate in the profile', 'another CA');
    if (![...readName(certificate.subject).values()].some((value) => value.includes(this.udid))) {
      throw this.error(
        'the UDID in the issued subject',
        [...readName(certificate.subject).values()].join(', '),
      );
    }
    if (certificate.keyUsage?.[0] !== '1')
      throw this.error('digitalSignature in keyUsage', String(certificate.keyUsage));
    if (certificate.notBeforeMs > Date.now() + 1000 || certificate.notAfterMs < Date.now()) {
      throw this.error('a certificate that is valid now', new Date(certificate.notBeforeMs).toISOString());
    }
    return certificate;
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

  async #report(fields: PlistDict, sent: string) {
    const body = writePlist({ UDID: this.udid, ...fields });
    const type = 'application/x-apple-aspen-mdm; charset=UTF-8';
    const reply = await this.put('connect', this.#enrolled().serverUrl, type, body, sent);
    if (reply.status !== 200) throw this.error('200 for connect', `${reply.status} ${reply.body.toString()}`);
    return reply.body.length === 0 ? null : this.#readCommand(reply);
  }

  #readCommand(reply: Reply): { commandUuid: string; requestType: string; body: PlistDict } {
    const document = readDict(reply.body);
    const commandUuid = document['CommandUUID'];
    const body = document['Command'] as PlistDict | undefined;
    const requestType = body?.['RequestType'];
    if (typeof commandUuid !== 'string' || typeof requestType !== 'string' || body === undefined) {
      throw this.error('CommandUUID and Command.RequestType', Object.keys(document).join(', '));
    }
    return { commandUuid, requestType, body };
  }

  #checkDelivery(commandUuid: string, deferred: ReadonlyMap<string, number>, count: number): void {
    if (this.answered.has(commandUuid)) throw this.error('no command that was answered', commandUuid);
    if ((deferred.get(commandUuid) ?? 0) > 1)
      throw this.error('no third try in a session after NotNow', commandUuid);
    if (count >= COMMANDS_PER_SESSION_MAX) throw this.error('an end of the session', `${count} commands`);
  }

  #answer(requestType: string, command: PlistDict, options: ConnectOptions): PlistDict {
    if (options.notNow?.(requestType) === true || this.#chance('notNow')) return { Status: 'NotNow' };
    const answer = this.answers.get(requestType);
    return { Status: 'Acknowledged', ...(answer?.(command) ?? unknownCommand(requestType)) };
  }

  #installProfile(command: PlistDict): PlistDict {
    const payload = command['Payload'];
    if (!(payload instanceof Uint8Array))
      return refusal(4001, 'MCInstallationErrorDomain', 'There is no payload.');
    const document = readDict(payload);
    this.facts.profiles.set(String(document['PayloadIdentifier']), document);
    return {};
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
    this.facts.profiles.clear();
    this.answered.clear();
    this.#declarative = this.#newDeclarative();
  }

  #bear(): DeviceIdentity {
    const key = this.#options.keys?.identity;
    return bearIdentity(this.world, {
      genuine: this.#options.genuineIdentity ?? false,
      ...(key === undefined ? {} : { key }),
    });
  }

  #newDeclarative(): DeclarativeClient {
    const unsupported = this.supervised ? [] : ['com.apple.configuration.watch.enrollment'];
    return new DeclarativeClient({
      name: this.name,
      supportedTypes: new Set(this.model.configurations.filter((type) => !unsupported.includes(type))),
      statusItems: () => this.#statusItems(),
      ddm: (endpoint, data) =>
        this.checkIn(
          'DeclarativeManagement',
          { Endpoint: endpoint, ...(data === undefined ? {} : { Data: data }) },
          data === undefined ? endpoint : `${endpoint}, ${data.length} bytes`,
        ),
      download: (url, asDevice) =>
        this.exchange({
          step: 'GET asset',
          method: 'GET',
          url,
          headers: asDevice ? { 'mdm-signature': this.mdmSignature(new Uint8Array()) } : {},
          sent: 'asset',
        }),
    });
  }

  #statusItems(): Record<string, Json> {
    const { family, product, modelName, osVersion, build } = this.model;
    return {
      'device.identifier.serial-number': this.serial,
      'device.identifier.udid': this.udid,
      'device.model.family': family,
      'device.model.identifier': product,
      'device.model.marketing-name': modelName,
      'device.operating-system.build-version': build,
      'device.operating-system.family': family === 'Watch' ? 'watchOS' : 'iOS',
      'device.operating-system.version': osVersion,
      'passcode.is-compliant': true,
      'passcode.is-present': this.facts.passcode,
    };
  }

  #facts(): DeviceFacts {
    const certificates = () =>
      this.#certificate === null
        ? []
        : [{ name: this.#commonName(), identity: true, der: this.#certificate.der }];
    const { product, osVersion, build, modelName } = this.model;
    return {
      udid: this.udid,
      serial: this.serial,
      supervised: this.supervised,
      product,
      osVersion,
      build,
      modelName,
      unlockToken: Buffer.from(this.dice.bytes(1201)),
      certificates,
      profiles: new Map<string, PlistDict>(),
      apps: new Map([['com.example.built-in', { name: 'built-in', version: '1.0', managed: false }]]),
      locked: false,
      passcode: true,
      erased: false,
    };
  }

  #commonName(): string {
    return readName(this.#issued().subject).get(OID.commonName) ?? '';
  }
}

/** A document that refuses: `{code, description, message, details}` as JSON or as a plist (facts 2). */
export interface RefusalDocument {
  readonly code?: string;
  readonly description?: string;
  readonly message?: string;
  readonly details?: { readonly [key: string]: Json | Plist };
}

export function readRefusal(reply: Reply): RefusalDocument | null {
  const type = reply.contentType.split(';')[0];
  try {
    if (type === 'application/json' || type === 'application/problem+json') {
      return JSON.parse(reply.body.toString()) as RefusalDocument;
    }
    return type === 'application/xml' ? (readDict(reply.body) as RefusalDocument) : null;
  } catch {
    // A document that cannot be read is no document; the status still says no.
    return null;
  }
}
