/**
 * Assets and legacy profiles that the server stores itself (facts 4.3): it writes the declaration, keeps the data
 * sealed, and hands it to devices that hold the declaration. The reference tells ContentType and Size and no hash:
 * how `Hash-SHA-256` is encoded is not known.
 *
 * A server token must change with the data and must not let anyone guess a password by trying: so it depends on no
 * digest of the data, but on a salt, drawn anew whenever data arrives that is not what is stored.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Bytes, equalBytes } from '../../std/bytes.ts';
import { Fault, type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Precondition, PutRefusal, RemoveRefusal } from '../admin/declaration-services.ts';
import type { PageQuery } from '../admin/services.ts';
import type {
  AssetLibrary,
  AssetRecord,
  ProfileInput,
  ProfileLibrary,
  ProfileRecord,
  PutUpload,
  UnknownUpload,
  UploadResource,
} from '../admin/upload-services.ts';
import { type AssetInput, type AssetRefusal, readAsset } from './asset-content.ts';
import { parseOwnIdentifier } from './draft.ts';
import type { Declarations } from './library.ts';
import type { ManifestEntry } from './manifest.ts';
import type { Asset } from './ports.ts';
import { type ProfileRefusal, readProfile } from './profile-content.ts';
import type { SealedUpload, UploadRow, UploadSeal, UploadStore } from './upload-ports.ts';

/** Of a .mobileconfig, by which an iPhone knows it. */
export const PROFILE_CONTENT_TYPE = 'application/x-apple-aspen-config';

const LEGACY = 'com.apple.configuration.legacy';

export interface UploadOptions {
  /** Origin without a trailing slash, as devices reach it. */
  readonly publicUrl: string;
  readonly store: UploadStore;
  readonly library: Pick<Declarations, 'putUpload' | 'remove'>;
  readonly seal: UploadSeal;
  readonly newUuid: () => string;
  readonly isEnrollmentProfile: (identifier: string) => boolean;
}

interface NewUpload extends Omit<SealedUpload, 'sealed' | 'size'> {
  readonly type: string;
  readonly payload: JsonObject;
  readonly data: Bytes;
}

export class Uploads {
  readonly #options: UploadOptions;

  constructor(options: UploadOptions) {
    this.#options = options;
  }

  get assets(): AssetLibrary {
    const { store } = this.#options;
    return {
      list: async (page) => this.#list('assets', page, assetRecord),
      find: async (identifier) => record(await store.find('assets', identifier), assetRecord),
      put: (identifier, input, precondition, nowMs) => this.#putAsset(identifier, input, precondition, nowMs),
      remove: (identifier, precondition) => this.#remove('assets', identifier, precondition),
    };
  }

  get profiles(): ProfileLibrary {
    const { store } = this.#options;
    return {
      list: async (page) => this.#list('profiles', page, profileRecord),
      find: async (identifier) => record(await store.find('profiles', identifier), profileRecord),
      put: (identifier, input, precondition, nowMs) =>
        this.#putProfile(identifier, input, precondition, nowMs),
      remove: (identifier, precondition) => this.#remove('profiles', identifier, precondition),
      content: async (identifier) => {
        const stored = await store.load(identifier);
        return stored?.resource === 'profiles' ? this.#open(identifier, stored.sealed) : null;
      },
    };
  }

  /**
   * What a device downloads for a declaration that its manifest holds. Null when the declaration is no upload; data of
   * another token than the device's manifest is not given out, since neither size nor type need fit: it asks again.
   */
  async download(resource: UploadResource, entry: ManifestEntry): Promise<Asset | null> {
    const stored = await this.#options.store.load(entry.identifier);
    if (stored === null || stored.resource !== resource) return null;
    if (stored.serverToken !== entry.serverToken)
      throw new Unavailable('upload-changed', `a manifest names ${entry.identifier} as it was before`);
    const data = await this.#open(entry.identifier, stored.sealed);
    return { identifier: entry.identifier, contentType: stored.contentType, data };
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
    const payload: JsonObject = {
      Reference: { DataURL: this.#url('assets', identifier), ContentType: contentType, Size: data.length },
      Authentication: { Type: 'MDM' },
      ...(accessible === null ? {} : { Accessible: accessible }),
    };
    const details = { accessible };
    const upload: NewUpload = { resource: 'assets', type: input.type, payload, contentType, data, details };
    return this.#put(identifier, upload, precondition, nowMs, assetRecord);
  }

  async #putProfile(
    identifier: string,
    input: ProfileInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutUpload<ProfileRecord>, PutRefusal | ProfileRefusal>> {
    const { isEnrollmentProfile } = this.#options;
    const profile = await readProfile(input.profile, {
      allowUnknown: input.allowUnknown,
      isEnrollmentProfile,
    });
    if (!profile.ok) return profile;
    const upload: NewUpload = {
      resource: 'profiles',
      type: LEGACY,
      payload: { ProfileURL: this.#url('profiles', identifier) },
      contentType: PROFILE_CONTENT_TYPE,
      data: input.profile,
      details: { ...profile.value, payloadTypes: [...profile.value.payloadTypes] },
    };
    return this.#put(identifier, upload, precondition, nowMs, profileRecord);
  }

  async #put<Item>(
    name: string,
    upload: NewUpload,
    precondition: Precondition,
    nowMs: EpochMs,
    view: (row: UploadRow) => Item,
  ): Promise<Outcome<PutUpload<Item>, PutRefusal>> {
    const identifier = parseOwnIdentifier(name);
    if (!identifier.ok) return identifier;
    const { resource, type, payload, contentType, data, details } = upload;
    const { store, seal, library, newUuid } = this.#options;
    const stored = await store.load(name);
    // What does not open is no reason to refuse what takes its place.
    const before = stored === null ? null : await seal.open(name, stored.sealed);
    const same = before !== null && equalBytes(before, data);
    const sealed = await seal.seal(name, data);
    const put = await library.putUpload(
      name,
      { type, payload, allowUnknown: false },
      {
        row: { resource, contentType, size: data.length, details, sealed },
        basedOn: stored?.serverToken ?? null,
        salt: same ? null : newUuid(),
      },
      precondition,
      nowMs,
    );
    if (!put.ok) return put;
    const { changed, created, waiting } = put.value;
    const { serverToken, updatedAtMs } = changed;
    const row = { identifier: name, type, contentType, size: data.length, details, serverToken, updatedAtMs };
    return ok({ changed: view(row), created, waiting });
  }

  async #list<Item>(resource: UploadResource, page: PageQuery, view: (row: UploadRow) => Item) {
    const found = await this.#options.store.list(resource, page);
    if (!found.ok) return found;
    return ok({ items: found.value.items.map(view), cursor: found.value.cursor });
  }

  async #remove(
    resource: UploadResource,
    identifier: string,
    precondition: Precondition | null,
  ): Promise<Outcome<{ removed: true }, RemoveRefusal | UnknownUpload>> {
    const { store, library } = this.#options;
    if ((await store.find(resource, identifier)) === null)
      return refuse({ kind: 'unknown-upload', resource, identifier });
    return library.remove(identifier, precondition);
  }

  async #open(identifier: string, sealed: Bytes): Promise<Bytes> {
    const data = await this.#options.seal.open(identifier, sealed);
    if (data === null)
      throw new Fault('seal-broken', `the upload ${identifier} does not open with STORAGE_KEY`);
    return data;
  }

  #url(resource: UploadResource, identifier: string): string {
    return `${this.#options.publicUrl}/ddm/${resource}/${encodeURIComponent(identifier)}`;
  }
}

function record<Item>(row: UploadRow | null, view: (row: UploadRow) => Item): Item | null {
  return row === null ? null : view(row);
}

function assetRecord({ details, ...row }: UploadRow): AssetRecord {
  return { ...row, accessible: typeof details['accessible'] === 'string' ? details['accessible'] : null };
}

/** The details are those that `#putProfile` stored. */
function profileRecord({ identifier, serverToken, size, updatedAtMs, details }: UploadRow): ProfileRecord {
  const { payloadIdentifier, payloadUuid, displayName, payloadTypes, signed } = details;
  return {
    identifier,
    serverToken,
    size,
    updatedAtMs,
    payloadIdentifier: String(payloadIdentifier),
    payloadUuid: String(payloadUuid),
    displayName: typeof displayName === 'string' ? displayName : null,
    payloadTypes: Array.isArray(payloadTypes) ? payloadTypes.map(String) : [],
    signed: signed === true,
  };
}
