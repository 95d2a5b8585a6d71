/**
 * Assets and legacy profiles that the server stores itself (facts 4.3): it writes the declaration, keeps the data
 * sealed, and hands it to devices that hold the declaration. The reference tells ContentType and Size and no hash:
 * how `Hash-SHA-256` is encoded is not known.
 *
 * A server token must change with the data and must not let anyone guess a password by trying: so it depends on no
 * digest of the data, but on a salt, drawn anew whenever data arrives that is not what is stored. What is special
 * about profiles is in `profiles.ts`.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Bytes, equalBytes } from '../../std/bytes.ts';
import { Fault, type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { PutRefusal, RemoveRefusal } from '../admin/declaration-services.ts';
import type { Precondition } from '../admin/precondition.ts';
import type { PageQuery } from '../admin/services.ts';
import type {
  AssetLibrary,
  AssetRecord,
  PutUpload,
  UnknownUpload,
  UploadResource,
} from '../admin/upload-services.ts';
import { ASSET_TYPES, type AssetInput, type AssetRefusal, readAsset } from './asset-content.ts';
import { parseOwnIdentifier } from './draft.ts';
import type { Declarations } from './library.ts';
import type { ManifestEntry } from './manifest.ts';
import type { Asset } from './ports.ts';
import { isManagementProfile, signedOnDelivery } from './profile-content.ts';
import { effectsOfProfile } from './profile-effects.ts';
import type { LoadedUpload, SealedUpload, UploadRow, UploadSeal, UploadStore } from './upload-ports.ts';

export interface UploadOptions {
  /** Origin without a trailing slash, as devices reach it. */
  readonly publicUrl: string;
  readonly store: UploadStore;
  readonly library: Pick<Declarations, 'putUpload' | 'remove'>;
  readonly seal: UploadSeal;
  readonly newUuid: () => string;
  /** Signs a profile in the authority's name. */
  readonly sign: (profile: Bytes) => Promise<Bytes>;
  readonly isEnrollmentProfile: (identifier: string) => boolean;
}

export interface NewUpload extends Omit<SealedUpload, 'sealed' | 'size'> {
  readonly type: string;
  readonly payload: JsonObject;
  readonly data: Bytes;
  /** Whether what is stored is the same, given that the data is. */
  readonly isSame?: (stored: LoadedUpload) => boolean;
}

export class Uploads {
  readonly #options: UploadOptions;

  constructor(options: UploadOptions) {
    this.#options = options;
  }

  get assets(): AssetLibrary {
    const { store } = this.#options;
    return {
      list: async (page) => this.list('assets', page, assetRecord),
      find: async (identifier) => record(await store.find('assets', identifier)),
      put: (identifier, input, precondition, nowMs) => this.#putAsset(identifier, input, precondition, nowMs),
      remove: async (identifier, precondition) => {
        const removed = await this.remove('assets', identifier, precondition, false);
        return removed.ok ? ok({ removed: true }) : removed;
      },
    };
  }

  /**
   * What a device downloads for a declaration that its manifest holds. Null when the declaration is no upload; data of
   * another token than the device's manifest is not given out, since neither size nor type need fit: it asks again.
   */
  async download(resource: UploadResource, entry: ManifestEntry): Promise<Asset | null> {
    const { store, sign } = this.#options;
    const stored = await store.load(entry.identifier);
    if (stored === null || stored.resource !== resource) return null;
    if (stored.serverToken !== entry.serverToken)
      throw new Unavailable('upload-changed', `a manifest names ${entry.identifier} as it was before`);
    const { contentType, details, sealed } = stored;
    const data = await this.open(entry.identifier, sealed);
    const signs = resource === 'profiles' && signedOnDelivery(details);
    return { identifier: entry.identifier, contentType, data: signs ? await sign(data) : data };
  }

  /** Same data, same token: then nothing is written. */
  async put<Item>(
    name: string,
    upload: NewUpload,
    { precondition, nowMs }: { readonly precondition: Precondition; readonly nowMs: EpochMs },
    view: (row: UploadRow) => Item,
  ): Promise<Outcome<PutUpload<Item>, PutRefusal>> {
    const identifier = parseOwnIdentifier(name);
    if (!identifier.ok) return identifier;
    const { type, payload, data, isSame = () => true, ...facts } = upload;
    const { store, seal, library, newUuid } = this.#options;
    const stored = await store.load(name);
    // What does not open is no reason to refuse what takes its place.
    const before = stored === null ? null : await seal.open(name, stored.sealed);
    const same = before !== null && stored !== null && equalBytes(before, data) && isSame(stored);
    const row = { ...facts, size: data.length, sealed: await seal.seal(name, data) };
    const basedOn = stored?.serverToken ?? null;
    const put = await library.putUpload(
      name,
      { type, payload, allowUnknown: false },
      { row, basedOn, salt: same ? null : newUuid() },
      precondition,
      nowMs,
    );
    if (!put.ok) return put;
    const { changed, created, waiting } = put.value;
    const { serverToken, updatedAtMs } = changed;
    const version = await this.#versionOf(row.resource, name, stored, serverToken);
    const { sealed, resource, ...listed } = row;
    return ok({
      changed: view({ ...listed, identifier: name, type, serverToken, updatedAtMs, version }),
      created,
      waiting,
    });
  }

  async list<Item>(resource: UploadResource, page: PageQuery, view: (row: UploadRow) => Item) {
    const found = await this.#options.store.list(resource, page);
    if (!found.ok) return found;
    return ok({ items: found.value.items.map(view), cursor: found.value.cursor });
  }

  async remove(
    resource: UploadResource,
    identifier: string,
    precondition: Precondition | null,
    force: boolean,
  ): Promise<Outcome<{ readonly removed: true }, RemoveRefusal | UnknownUpload>> {
    const { store, library } = this.#options;
    if ((await store.find(resource, identifier)) === null)
      return refuse({ kind: 'unknown-upload', resource, identifier });
    return library.remove(identifier, precondition, force);
  }

  async open(identifier: string, sealed: Bytes): Promise<Bytes> {
    const data = await this.#options.seal.open(identifier, sealed);
    if (data === null)
      throw new Fault('seal-broken', `the upload ${identifier} does not open with STORAGE_KEY`);
    return data;
  }

  url(resource: UploadResource, identifier: string): string {
    return `${this.#options.publicUrl}/ddm/${resource}/${encodeURIComponent(identifier)}`;
  }

  /** Of what was just written over `stored`, which nobody else can have replaced. */
  async #versionOf(
    resource: UploadResource,
    name: string,
    stored: LoadedUpload | null,
    serverToken: string,
  ): Promise<number> {
    if (stored !== null) return stored.serverToken === serverToken ? stored.version : stored.version + 1;
    return (await this.#options.store.find(resource, name))?.version ?? 1;
  }

  async #putAsset(
    identifier: string,
    input: AssetInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutUpload<AssetRecord>, PutRefusal | AssetRefusal>> {
    const content = await readAsset(input);
    if (!content.ok) return content;
    const { contentType, data, accessible } = content.value;
    const grave = input.type === ASSET_TYPES.data ? this.#graveProfile(data) : null;
    if (grave !== null) return refuse({ kind: 'unreadable-upload', path: '/data', reason: grave });
    const payload: JsonObject = {
      Reference: { DataURL: this.url('assets', identifier), ContentType: contentType, Size: data.length },
      Authentication: { Type: 'MDM' },
      ...(accessible === null ? {} : { Accessible: accessible }),
    };
    const facts = { details: { accessible }, fingerprint: null, author: null };
    const upload: NewUpload = { resource: 'assets', type: input.type, payload, contentType, data, ...facts };
    return this.put(identifier, upload, { precondition, nowMs }, assetRecord);
  }

  /** Data may be a profile, which a legacy declaration refers to (facts 16): then what `/profiles` asks is not passed by. */
  #graveProfile(data: Bytes): string | null {
    if (isManagementProfile(data, this.#options.isEnrollmentProfile))
      return 'anything but a profile that manages the device';
    if (effectsOfProfile(data).forbidsPairedWatch)
      return 'a profile that allows paired watches: /profiles takes one that forbids them';
    return null;
  }
}

function record(row: UploadRow | null): AssetRecord | null {
  return row === null ? null : assetRecord(row);
}

function assetRecord(row: UploadRow): AssetRecord {
  const { identifier, type, contentType, serverToken, size, updatedAtMs, details } = row;
  const accessible = typeof details['accessible'] === 'string' ? details['accessible'] : null;
  return { identifier, type, contentType, serverToken, size, updatedAtMs, accessible };
}
