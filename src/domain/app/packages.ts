/**
 * Packages of apps that are not in the App Store: uploaded part by part into the bucket, handed out to whoever has a URL
 * that this server made. A package never changes; another upload is another package, and the one before stays for as long
 * as a URL may name it.
 */
import { encodeAppManifest } from '../../protocol/mdm/app-manifest.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, type EpochMs } from '../../std/time.ts';
import { type AppPackages, PACKAGE_PART_BYTES, type PackageRefusal } from '../admin/app-services.ts';
import type { App, StoredPackage } from './app.ts';
import { ORDER_PATIENCE_MS } from './machine.ts';
import { PACKAGE_URL_LIFE_MS, type PackageUrls, type UrlGrant, type UrlKind } from './package-urls.ts';
import type { AppStore, ByteSpan, PackageBucket, PackageHasher, PackageWriter } from './ports.ts';

/** Of a ZIP archive's first entry (PKWARE APPNOTE 4.3.7). */
const ZIP_MAGIC = [0x50, 0x4b, 0x03, 0x04];
/** A manifest's URL lives as long as the command with it and two days; the package's that it names two days more. */
const LEFT_OVER_AFTER_MS = ORDER_PATIENCE_MS + 2 * PACKAGE_URL_LIFE_MS;
/** Per sweep. */
const SWEEP_MAX = 50;

export interface PackageOptions {
  readonly store: AppStore;
  /** Null: none is bound to this Worker. */
  readonly bucket: PackageBucket | null;
  readonly startHash: () => Promise<PackageHasher>;
  readonly urls: PackageUrls;
  readonly newUuid: () => string;
}

export interface Download {
  readonly package: StoredPackage;
  readonly content: ReadableStream<Uint8Array>;
}

type Parts<Refusal extends { readonly kind: string }> = AsyncIterable<Outcome<Bytes, Refusal>>;

export class Packages implements AppPackages {
  readonly #options: PackageOptions;

  constructor(options: PackageOptions) {
    this.#options = options;
  }

  async upload<Refusal extends { readonly kind: string }>(
    watchBundleId: string,
    { bundleVersion, parts }: { readonly bundleVersion: string; readonly parts: Parts<Refusal> },
    nowMs: EpochMs,
  ): Promise<Outcome<App, PackageRefusal | Refusal>> {
    const { store, bucket, newUuid } = this.#options;
    if (bucket === null) return refuse({ kind: 'packages-not-configured' });
    if ((await store.find(watchBundleId)) === null)
      return refuse({ kind: 'unknown-app', app: watchBundleId });
    const packageId = newUuid();
    await store.beginPackage(packageId, watchBundleId, nowMs);
    const writer = await bucket.begin(packageId);
    const stored = await this.#receive(writer, parts);
    if (!stored.ok) return stored;
    const record: StoredPackage = { ...stored.value, bundleVersion, packageId, createdAtMs: nowMs };
    const taken = await store.finishPackage(record, watchBundleId, { version: newUuid(), nowMs });
    const app = taken ? await store.find(watchBundleId) : null;
    // Deleted meanwhile: the package is no app's, and the sweeper's.
    return app === null ? refuse({ kind: 'unknown-app', app: watchBundleId }) : ok(app);
  }

  /** The manifest that the token's holder may have; null when it is not good, or the package is gone. */
  async manifest(token: string, nowMs: EpochMs): Promise<Bytes | null> {
    const { urls, store } = this.#options;
    const grant = await this.#grant('manifest', token, nowMs);
    const found = grant === null ? null : await store.findPackage(grant.packageId);
    if (grant === null || found === null) return null;
    const app = await store.find(found.watchBundleId);
    if (app === null) return null;
    const bundleId = grant.side === 'phone' && app.phone !== null ? app.phone.bundleId : app.watchBundleId;
    const { md5Bytes, md5s, bundleVersion } = found;
    const packageUrl = await urls.make('package', grant, addMs(nowMs, PACKAGE_URL_LIFE_MS));
    return encodeAppManifest({ packageUrl, md5Bytes, md5s, bundleId, bundleVersion, title: app.name });
  }

  /** What is known of the package; its content is `read`. */
  async find(token: string, nowMs: EpochMs): Promise<StoredPackage | null> {
    const grant = await this.#grant('package', token, nowMs);
    return grant === null ? null : this.#options.store.findPackage(grant.packageId);
  }

  async read(
    { packageId }: StoredPackage,
    span: ByteSpan | null,
  ): Promise<ReadableStream<Uint8Array> | null> {
    return (await this.#options.bucket?.read(packageId, span)) ?? null;
  }

  /** Without a bucket none is any good: nothing is promised that cannot be sent. */
  async #grant(kind: UrlKind, token: string, nowMs: EpochMs): Promise<UrlGrant | null> {
    return this.#options.bucket === null ? null : this.#options.urls.open(kind, token, nowMs);
  }

  /** Removes what no app has and no URL can name any more. Returns how many. */
  async sweep(nowMs: EpochMs): Promise<number> {
    const { store, bucket } = this.#options;
    if (bucket === null) return 0;
    const left = await store.leftOverPackages(addMs(nowMs, -LEFT_OVER_AFTER_MS), SWEEP_MAX);
    if (left.length === 0) return 0;
    await bucket.remove(left);
    await store.forgetPackages(left);
    return left.length;
  }

  async #receive<Refusal extends { readonly kind: string }>(
    writer: PackageWriter,
    parts: Parts<Refusal>,
  ): Promise<
    Outcome<Omit<StoredPackage, 'packageId' | 'bundleVersion' | 'createdAtMs'>, PackageRefusal | Refusal>
  > {
    const hash = await this.#options.startHash();
    const md5s: string[] = [];
    let bytes = 0;
    try {
      for await (const part of parts) {
        if (!part.ok) return await aborted(writer, part.refusal);
        if (bytes === 0 && !isZip(part.value))
          return await aborted(writer, { kind: 'not-a-package' } as const);
        md5s.push(await hash.update(part.value));
        await writer.write(part.value);
        bytes += part.value.length;
      }
    } catch (error) {
      await writer.abort();
      throw error;
    }
    if (bytes === 0) return aborted(writer, { kind: 'not-a-package' } as const);
    await writer.finish();
    return ok({ bytes, sha256: hash.sha256(), md5Bytes: PACKAGE_PART_BYTES, md5s });
  }
}

async function aborted<R extends { readonly kind: string }>(writer: PackageWriter, refusal: R) {
  await writer.abort();
  return refuse(refusal);
}

function isZip(part: Bytes): boolean {
  return ZIP_MAGIC.every((byte, i) => part[i] === byte);
}
