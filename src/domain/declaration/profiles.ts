/**
 * Stored configuration profiles: the current one behind its declaration, and what it was before. A change makes a
 * version; an older one that is restored makes another, so the newest number is always what devices are to have.
 *
 * The bytes are stored as they came. One that came without a signature is signed when a device is given it: the
 * signature is a function of content and key (RSA PKCS #1 v1.5, no signing time), so it is made anew each time, names
 * the authority of today, and changes no server token.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import { Fault, type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { RemoveRefusal } from '../admin/declaration-services.ts';
import type { Precondition } from '../admin/precondition.ts';
import type { PageQuery } from '../admin/services.ts';
import type {
  LeftProfiles,
  ProfileInput,
  ProfileLibrary,
  ProfileRecord,
  ProfileVerdict,
  ProfileVersion,
  PutProfileRefusal,
  PutUpload,
  UnknownUpload,
  UnknownVersion,
} from '../admin/upload-services.ts';
import { fitnessOf } from '../profile/judge.ts';
import { SIGNATURE_UNVERIFIED, warningsOf } from '../profile/warnings.ts';
import {
  judgeSignature,
  type ProfileDetails,
  parseProfile,
  readProfile,
  shortName,
  signedOnDelivery,
} from './profile-content.ts';
import { effectsOf } from './profile-effects.ts';
import type { UploadRow, UploadSeal, UploadStore, UploadVersion } from './upload-ports.ts';
import type { NewUpload, Uploads } from './uploads.ts';

/** Of a .mobileconfig, by which an iPhone knows it. */
export const PROFILE_CONTENT_TYPE = 'application/x-apple-aspen-config';

const LEGACY = 'com.apple.configuration.legacy';

export interface ProfileOptions {
  readonly uploads: Uploads;
  readonly store: UploadStore;
  readonly seal: Pick<UploadSeal, 'fingerprint'>;
  readonly isEnrollmentProfile: (identifier: string) => boolean;
  /** How many devices have it by a command, or are to. */
  readonly devicesWith: (identifier: string) => Promise<number>;
  /** How many orders of it devices have yet to answer. */
  readonly ordersOf: (identifier: string) => Promise<number>;
}

/** A version with its content, for whoever gives it to devices. */
export interface OpenedProfile extends ProfileVersion {
  readonly identifier: string;
  readonly allowUnknown: boolean;
  readonly data: Bytes;
  readonly profile: PlistDict;
}

export class Profiles implements ProfileLibrary {
  readonly #options: ProfileOptions;

  constructor(options: ProfileOptions) {
    this.#options = options;
  }

  list(page: PageQuery) {
    return this.#options.uploads.list('profiles', page, profileRecord);
  }

  async find(identifier: string): Promise<ProfileRecord | null> {
    const row = await this.#options.store.find('profiles', identifier);
    return row === null ? null : profileRecord(row);
  }

  async put(
    identifier: string,
    input: ProfileInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutUpload<ProfileRecord>, PutProfileRefusal>> {
    const { uploads, seal, isEnrollmentProfile } = this.#options;
    const { allowUnknown, author, unpairsWatches } = input;
    const read = await readProfile(input.profile, { allowUnknown, isEnrollmentProfile });
    if (!read.ok) return read;
    const { details, profile } = read.value;
    if (effectsOf(profile).forbidsPairedWatch && !unpairsWatches) return refuse({ kind: 'unpairs-watches' });
    const fixed = await this.#fixedIdentifier(identifier, details);
    if (fixed !== null) return refuse(fixed);
    const sign = input.sign && !details.signed;
    const upload: NewUpload = {
      resource: 'profiles',
      type: LEGACY,
      payload: { ProfileURL: uploads.url('profiles', identifier) },
      contentType: PROFILE_CONTENT_TYPE,
      data: input.profile,
      details: { ...details, payloadTypes: [...details.payloadTypes], allowUnknown, sign },
      fingerprint: await seal.fingerprint(identifier, input.profile),
      author,
      isSame: (stored) => signedOnDelivery(stored.details) === sign,
    };
    return uploads.put(identifier, upload, { precondition, nowMs }, profileRecord);
  }

  async remove(
    identifier: string,
    precondition: Precondition | null,
    force: boolean,
  ): Promise<Outcome<LeftProfiles, RemoveRefusal | UnknownUpload>> {
    const { devicesWith, ordersOf } = this.#options;
    const left = { devices: await devicesWith(identifier), ordered: await ordersOf(identifier) };
    const removed = await this.#options.uploads.remove('profiles', identifier, precondition, force);
    return removed.ok ? ok(left) : removed;
  }

  async content(
    identifier: string,
    version: number | null,
  ): Promise<Outcome<Bytes, UnknownUpload | UnknownVersion>> {
    const opened = await this.#load(identifier, version);
    return opened.ok ? ok(opened.value.data) : opened;
  }

  async judge(identifier: string): Promise<ProfileVerdict | null> {
    const opened = await this.open(identifier, null);
    if (!opened.ok) return null;
    const { profile, allowUnknown, data } = opened.value;
    const unverified = (await judgeSignature(data)) === 'unknown' ? [SIGNATURE_UNVERIFIED] : [];
    const warnings = [...unverified, ...(await warningsOf(profile))];
    return { platforms: await fitnessOf(profile, allowUnknown), warnings };
  }

  async versions(identifier: string): Promise<Outcome<readonly ProfileVersion[], UnknownUpload>> {
    const found = await this.#options.store.versions(identifier);
    return found.length === 0 ? unknown(identifier) : ok(found.map(profileVersion));
  }

  async restore(
    identifier: string,
    version: number,
    by: Pick<ProfileInput, 'author' | 'unpairsWatches'>,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutUpload<ProfileRecord>, PutProfileRefusal | UnknownUpload | UnknownVersion>> {
    const opened = await this.#load(identifier, version);
    if (!opened.ok) return opened;
    const { data: profile, stored } = opened.value;
    const [allowUnknown, sign] = [allowsUnknown(stored.details), signedOnDelivery(stored.details)];
    return this.put(identifier, { profile, allowUnknown, sign, ...by }, precondition, nowMs);
  }

  /** The current version when none is named. */
  async open(
    identifier: string,
    version: number | null,
  ): Promise<Outcome<OpenedProfile, UnknownUpload | UnknownVersion>> {
    const loaded = await this.#load(identifier, version);
    if (!loaded.ok) return loaded;
    const { data, stored } = loaded.value;
    const profile = parseProfile(data);
    if (!profile.ok) throw new Fault('profile-unreadable', `the stored profile ${identifier} is none`);
    const allowUnknown = allowsUnknown(stored.details);
    return ok({ ...profileVersion(stored), identifier, allowUnknown, data, profile: profile.value });
  }

  async #load(
    identifier: string,
    version: number | null,
  ): Promise<Outcome<{ data: Bytes; stored: UploadVersion }, UnknownUpload | UnknownVersion>> {
    const { store, uploads } = this.#options;
    const asked = version ?? (await store.find('profiles', identifier))?.version;
    const stored = asked === undefined ? null : await store.loadVersion(identifier, asked);
    if (stored !== null) {
      const { sealed, ...facts } = stored;
      return ok({ data: await uploads.open(identifier, sealed), stored: facts });
    }
    const none = version === null || (await store.find('profiles', identifier)) === null;
    return none ? unknown(identifier) : refuse({ kind: 'unknown-version', identifier, version });
  }

  /** A device knows a profile by its PayloadIdentifier: under another it would have both. */
  async #fixedIdentifier(
    identifier: string,
    { payloadIdentifier: next }: ProfileDetails,
  ): Promise<Extract<PutProfileRefusal, { kind: 'payload-identifier-fixed' }> | null> {
    const current = await this.find(identifier);
    if (current === null || current.payloadIdentifier === next) return null;
    const devices = await this.#options.devicesWith(identifier);
    const { payloadIdentifier } = current;
    return devices === 0 ? null : { kind: 'payload-identifier-fixed', payloadIdentifier, devices };
  }
}

/** What was stored before this was kept was taken by some of the two. */
function allowsUnknown({ allowUnknown }: JsonObject): boolean {
  return allowUnknown !== false;
}

function unknown(identifier: string) {
  return refuse<UnknownUpload>({ kind: 'unknown-upload', resource: 'profiles', identifier });
}

function profileRecord(row: UploadRow): ProfileRecord {
  const { identifier, serverToken, size, updatedAtMs, version, details } = row;
  const facts = { ...detailsOf(details), signedOnDelivery: signedOnDelivery(details) };
  return { identifier, serverToken, size, updatedAtMs, version, ...facts };
}

function profileVersion({ details, ...row }: UploadVersion): ProfileVersion {
  return { ...row, ...detailsOf(details), signedOnDelivery: signedOnDelivery(details) };
}

/** As `put` stored them. */
function detailsOf(details: JsonObject): ProfileDetails {
  const { payloadIdentifier, payloadUuid, displayName, payloadTypes, signed } = details;
  return {
    payloadIdentifier: String(payloadIdentifier),
    payloadUuid: String(payloadUuid),
    displayName: typeof displayName === 'string' ? shortName(displayName) : null,
    payloadTypes: Array.isArray(payloadTypes) ? payloadTypes.map(String) : [],
    signed: signed === true,
  };
}
