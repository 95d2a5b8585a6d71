/**
 * Declarative management from the device's side: tokens, declaration items, the changed declarations, their
 * assets, then one status report (facts 4.1 to 4.5). An equal DeclarationsToken stops the run; a 404 drops the
 * declaration; a report is only forgotten once the server answered 200.
 */
import { Buffer } from 'node:buffer';
import { AssetStore } from './assets.ts';
import {
  assetReferences,
  type Declaration,
  isJsonDict,
  type Json,
  type JsonDict,
  type Judgment,
  judge,
  type Kind,
  type Reason,
  reason,
} from './declarations.ts';
import { clientCapabilities, WATCH_ENROLLMENT } from './inventory.ts';
import { isDeviceUrl } from './profile.ts';
import { type Reply, SimulatorError } from './world.ts';

/** What the client needs from the device it runs on. */
export interface DdmHost {
  readonly name: string;
  readonly supportedTypes: ReadonlySet<string>;
  /** Everything this device can report, by dotted item name. */
  statusItems(): Record<string, Json>;
  /** The reasons, capitalized, why an item of it cannot be reported. */
  statusErrors(): Record<string, Json>;
  ddm(endpoint: string, data?: Buffer): Promise<Reply>;
  download(url: string, asDevice: boolean): Promise<Reply>;
}

export interface SyncOptions {
  /** Send everything, as a device does about once a day. */
  readonly fullReport?: boolean;
  /** From a DeclarativeManagement command: the TokensResponse it carried. */
  readonly tokens?: Buffer;
}

export interface SyncLog {
  /** False when the token was equal and nothing was fetched. */
  readonly changed: boolean;
  readonly fetched: readonly string[];
  readonly removed: readonly string[];
  readonly reported: boolean;
}

const KINDS: readonly (readonly [Kind, string])[] = [
  ['activation', 'Activations'],
  ['configuration', 'Configurations'],
  ['asset', 'Assets'],
  ['management', 'Management'],
];

export class DeclarativeClient {
  readonly #host: DdmHost;
  readonly #declarations = new Map<string, Declaration>();
  readonly #assets: AssetStore;
  /** Why assets' data could not be had, when it was last tried. */
  #assetFailures: ReadonlyMap<string, Reason> = new Map();
  #profileFailures: ReadonlyMap<string, Reason> = new Map();
  #token: string | null = null;
  #judgments: readonly Judgment[] = [];
  #reported: Record<string, string> = {};

  constructor(host: DdmHost) {
    this.#host = host;
    this.#assets = new AssetStore((url, asDevice) => host.download(url, asDevice));
  }

  get judgments(): readonly Judgment[] {
    return this.#judgments;
  }

  get declarationsToken(): string | null {
    return this.#token;
  }

  assetData(identifier: string): Buffer | null {
    return this.#assets.data(identifier);
  }

  /** Of a legacy configuration. */
  profileData(identifier: string): Buffer | null {
    return this.#assets.data(identifier);
  }

  async sync(options: SyncOptions = {}): Promise<SyncLog> {
    const offered = options.tokens ?? (await this.#json('tokens'));
    const token = this.#readTokens(offered);
    const changes = token === this.#token ? null : await this.#update();
    if (changes === null) this.#judge();
    const reported = await this.#report(options.fullReport ?? this.#token === null);
    if (changes !== null) this.#token = changes.token;
    return {
      changed: changes !== null,
      fetched: changes?.fetched ?? [],
      removed: changes?.removed ?? [],
      reported,
    };
  }

  /** What changed by itself since the last report: values of the device, and what predicates make of them. */
  async reportChanges(): Promise<boolean> {
    if (this.#token === null) return false;
    this.#judge();
    return this.#report(false);
  }

  #readTokens(body: Buffer): string {
    const sync = this.#parse(body, 'tokens')['SyncTokens'];
    if (!isJsonDict(sync)) throw this.#error('SyncTokens', typeof sync);
    const { Timestamp: timestamp, DeclarationsToken: token } = sync;
    if (typeof timestamp !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(timestamp)) {
      throw this.#error('Timestamp as YYYY-mm-ddTHH:MM:SSZ', String(timestamp));
    }
    return this.#text(token, 'DeclarationsToken', 256);
  }

  async #update(): Promise<{ token: string; fetched: string[]; removed: string[] }> {
    const items = this.#parse(await this.#json('declaration-items'), 'declaration-items');
    const token = this.#text(items['DeclarationsToken'], 'DeclarationsToken', 256);
    const manifest = this.#readManifest(items['Declarations']);
    const fetched: string[] = [];
    const fresh = new Map<string, Declaration>();
    for (const item of manifest) {
      const held = this.#declarations.get(item.identifier);
      if (held?.serverToken === item.serverToken && held.kind === item.kind) {
        fresh.set(item.identifier, held);
        continue;
      }
      const declaration = await this.#fetch(item);
      if (declaration === null) continue;
      fresh.set(item.identifier, declaration);
      fetched.push(item.identifier);
    }
    const removed = [...this.#declarations.keys()].filter((identifier) => !fresh.has(identifier));
    // Nothing is applied or removed before the manifest and every fetch are done.
    this.#declarations.clear();
    for (const [identifier, declaration] of fresh) this.#declarations.set(identifier, declaration);
    await this.#apply();
    return { token, fetched, removed };
  }

  #readManifest(declarations: Json | undefined): { kind: Kind; identifier: string; serverToken: string }[] {
    if (!isJsonDict(declarations)) throw this.#error('Declarations', typeof declarations);
    const items = KINDS.flatMap(([kind, key]) => {
      const list = declarations[key];
      if (!Array.isArray(list)) throw this.#error(`an array Declarations.${key}`, typeof list);
      return list.map((item) => {
        if (!isJsonDict(item)) throw this.#error('a manifest item', typeof item);
        const identifier = this.#text(item['Identifier'], 'Identifier', 64);
        return { kind, identifier, serverToken: this.#text(item['ServerToken'], 'ServerToken', 64) };
      });
    });
    const distinct = new Set(items.map((item) => item.identifier));
    if (distinct.size !== items.length)
      throw this.#error('distinct identifiers in the manifest', 'a repeated one');
    return items;
  }

  async #fetch(item: { kind: Kind; identifier: string; serverToken: string }): Promise<Declaration | null> {
    const endpoint = `declaration/${item.kind}/${item.identifier}`;
    const reply = await this.#host.ddm(endpoint);
    if (reply.status === 404) return null;
    const document = this.#parse(this.#ok(reply, endpoint), endpoint);
    const payload = document['Payload'];
    if (!isJsonDict(payload)) throw this.#error(`Payload in ${endpoint}`, typeof payload);
    if (document['Identifier'] !== item.identifier) {
      throw this.#error(`Identifier ${item.identifier}`, String(document['Identifier']));
    }
    const serverToken = this.#text(document['ServerToken'], 'ServerToken', 64);
    return { ...item, serverToken, type: this.#text(document['Type'], 'Type', 256), payload };
  }

  async #apply(): Promise<void> {
    const declarations = [...this.#declarations.values()];
    const assetFailures = new Map<string, Reason>();
    const wanted = new Set(
      declarations.filter((one) => one.kind === 'configuration').flatMap(assetReferences),
    );
    for (const asset of declarations.filter((one) => one.kind === 'asset')) {
      const failure = wanted.has(asset.identifier) ? await this.#assets.asset(asset) : null;
      if (failure !== null) assetFailures.set(asset.identifier, failure);
    }
    this.#assets.keep(new Set(this.#declarations.keys()));
    const profileFailures = new Map<string, Reason>();
    for (const one of declarations.filter(({ type }) => type === LEGACY)) {
      const failure = await this.#assets.profile(one);
      if (failure !== null) profileFailures.set(one.identifier, failure);
    }
    this.#assetFailures = assetFailures;
    this.#profileFailures = profileFailures;
    this.#judge();
  }

  /** Predicates are evaluated anew each time; they see what was judged before. */
  #judge(): void {
    this.#judgments = judge([...this.#declarations.values()], {
      supportedTypes: this.#host.supportedTypes,
      assetFailures: this.#assetFailures,
      status: { ...this.#host.statusItems(), ...this.#ownItems() },
      checkConfiguration: (one) => this.#checkConfiguration(one),
    });
  }

  #checkConfiguration(one: Declaration): Reason | null {
    const required = REQUIRED_KEYS[one.type] ?? [];
    const missing = required.find((key) => one.payload[key] === undefined);
    if (missing !== undefined) return reason('Error.ConfigurationIsInvalid', `${missing} is missing`);
    const url = one.payload['EnrollmentProfileURL'];
    if (one.type === WATCH_ENROLLMENT && (typeof url !== 'string' || !isDeviceUrl(url))) {
      return reason('Error.ConfigurationIsInvalid', 'EnrollmentProfileURL is not an https URL');
    }
    return this.#profileFailures.get(one.identifier) ?? null;
  }

  /** Only what changed since the last report that was answered 200, or everything. */
  async #report(full: boolean): Promise<boolean> {
    const { items, errors } = this.#statusItems();
    const isNew = ([name, value]: [string, Json]) => full || this.#reported[name] !== JSON.stringify(value);
    const changed = Object.entries(items).filter(isNew);
    const failed = Object.entries(errors).filter(isNew);
    if (changed.length + failed.length === 0) return false;
    const StatusItems: JsonDict = {};
    for (const [name, value] of changed) {
      const gone = full ? [] : removedFrom(this.#reported[name], value);
      nest(StatusItems, name.split('.'), gone.length === 0 ? value : [...(value as Json[]), ...gone]);
    }
    const Errors = failed.map(([StatusItem, Reasons]) => ({ StatusItem, Reasons }));
    const report = { StatusItems, Errors, ...(full ? { FullReport: true } : {}) };
    const reply = await this.#host.ddm('status', Buffer.from(JSON.stringify(report)));
    if (this.#ok(reply, 'status').length !== 0) throw this.#error('an empty body for status', 'some bytes');
    if (full) this.#reported = {};
    for (const [name, value] of [...changed, ...failed]) this.#reported[name] = JSON.stringify(value);
    return true;
  }

  #statusItems(): { items: Record<string, Json>; errors: Record<string, Json> } {
    const available = this.#host.statusItems();
    const failures = this.#host.statusErrors();
    const subscribed = this.#judgments
      .filter((one) => one.active && one.declaration.type === STATUS_SUBSCRIPTIONS)
      .flatMap((one) => one.declaration.payload['StatusItems'] ?? [])
      .flatMap((item) => (isJsonDict(item) && typeof item['Name'] === 'string' ? [item['Name']] : []));
    const items = this.#ownItems();
    const errors: Record<string, Json> = {};
    for (const name of subscribed) {
      if (failures[name] !== undefined) errors[name] = failures[name];
      else if (available[name] !== undefined) items[name] = available[name];
    }
    return { items, errors };
  }

  /** What every device reports without being asked. */
  #ownItems(): Record<string, Json> {
    const available = Object.keys(this.#host.statusItems());
    return {
      'management.declarations': this.#declarationStatus(),
      'management.client-capabilities': clientCapabilities(this.#host.supportedTypes, available),
    };
  }

  #declarationStatus(): JsonDict {
    const of = (kind: Kind): Json[] =>
      this.#judgments
        .filter((one) => one.declaration.kind === kind)
        .map((one) => ({
          identifier: one.declaration.identifier,
          'server-token': one.declaration.serverToken,
          active: one.active,
          valid: one.valid,
          ...(one.reasons.length === 0 ? {} : { reasons: one.reasons.map((each) => ({ ...each })) }),
        }));
    return {
      activations: of('activation'),
      configurations: of('configuration'),
      assets: of('asset'),
      management: of('management'),
    };
  }

  async #json(endpoint: string): Promise<Buffer> {
    return this.#ok(await this.#host.ddm(endpoint), endpoint);
  }

  #ok(reply: Reply, endpoint: string): Buffer {
    if (reply.status !== 200)
      throw this.#error(`200 for ${endpoint}`, `${reply.status} ${reply.body.toString()}`);
    if (endpoint !== 'status' && !/^application\/json\b/.test(reply.contentType)) {
      throw this.#error(`application/json for ${endpoint}`, reply.contentType);
    }
    return reply.body;
  }

  #parse(body: Buffer, what: string): JsonDict {
    const value = JSON.parse(body.toString()) as Json;
    if (!isJsonDict(value)) throw this.#error(`a JSON object for ${what}`, typeof value);
    return value;
  }

  #text(value: Json | undefined, what: string, bytesMax: number): string {
    if (typeof value !== 'string' || value === '' || Buffer.byteLength(value) > bytesMax) {
      throw this.#error(`${what} of 1 to ${bytesMax} octets`, String(value));
    }
    return value;
  }

  #error(expected: string, got: string): SimulatorError {
    return new SimulatorError(`${this.#host.name}, declarative management`, expected, got);
  }
}

const LEGACY = 'com.apple.configuration.legacy';
const STATUS_SUBSCRIPTIONS = 'com.apple.configuration.management.status-subscriptions';

/** Facts 15: the configurations that both watchOS and iOS take. */
export const COMMON_CONFIGURATIONS: readonly string[] = [
  LEGACY,
  STATUS_SUBSCRIPTIONS,
  'com.apple.configuration.management.test',
  'com.apple.configuration.passcode.settings',
  'com.apple.configuration.security.certificate',
  'com.apple.configuration.security.identity',
];

const REQUIRED_KEYS: Record<string, readonly string[]> = {
  [LEGACY]: ['ProfileURL'],
  [STATUS_SUBSCRIPTIONS]: ['StatusItems'],
  'com.apple.configuration.management.test': ['Echo'],
  'com.apple.configuration.security.certificate': ['CredentialAssetReference'],
  'com.apple.configuration.security.identity': ['CredentialAssetReference'],
  [WATCH_ENROLLMENT]: ['EnrollmentProfileURL'],
};

/** Arrays are incremental by identifier: what is not there any more is said to be removed (facts 4.5). */
function removedFrom(before: string | undefined, value: Json): Json[] {
  const held: unknown = before === undefined ? null : JSON.parse(before);
  if (!Array.isArray(value) || !Array.isArray(held)) return [];
  const identifiers = (items: readonly unknown[]) =>
    items.map((one) => (isJsonDict(one as Json) ? (one as JsonDict)['identifier'] : undefined));
  const present = new Set(identifiers(value));
  return identifiers(held)
    .filter((one) => typeof one === 'string' && !present.has(one))
    .map((identifier) => ({ identifier: identifier as string, _removed: true }));
}

function nest(into: JsonDict, path: readonly string[], value: Json): void {
  const [head, ...rest] = path;
  if (head === undefined) return;
  if (rest.length === 0) {
    into[head] = value;
    return;
  }
  const inner = into[head];
  const next = isJsonDict(inner) ? inner : {};
  into[head] = next;
  nest(next, rest, value);
}
