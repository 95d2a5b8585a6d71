/**
 * Manifests of enterprise apps as a device reads them: a property list at an https URL that names one package, its
 * bundle identifier, version and title, and the digests of its parts; later the package, which must match.
 */
import { createHash } from 'node:crypto';
import type { DeviceFacts } from './facts.ts';
import { isDict, type Plist, type PlistDict, readDict } from './plist.ts';
import { isDeviceUrl } from './profile.ts';

export interface Manifest {
  readonly identifier: string;
  readonly name: string;
  readonly version: string;
  readonly packageUrl: string;
  /** Digests of each `partBytes` of the package, in hex; none where the manifest has none. */
  readonly hash: 'md5' | 'sha256';
  readonly partBytes: number;
  readonly digests: readonly string[];
}

/** A text where it cannot be had or read. */
export async function readManifest(facts: DeviceFacts, url: string): Promise<Manifest | string> {
  if (!isDeviceUrl(url)) return `ManifestURL ${url} is not https.`;
  const reply = await download(facts, url, 'manifest');
  if (reply === null) return 'The manifest could not be downloaded: no server.';
  if (reply.status !== 200) return `The manifest could not be downloaded: ${reply.status}.`;
  try {
    return manifestOf(readDict(reply.body));
  } catch (error) {
    // Whatever is wrong with the bytes, to the device they are no manifest.
    return `The manifest could not be read: ${String(error)}`;
  }
}

function manifestOf(document: PlistDict): Manifest {
  const [item] = list(document['items']);
  const asset = list(item?.['assets']).find((one) => one['kind'] === 'software-package');
  const metadata = item?.['metadata'];
  if (asset === undefined || !isDict(metadata)) throw new Error('no software-package, or no metadata');
  if (metadata['kind'] !== 'software') throw new Error(`kind ${String(metadata['kind'])}`);
  const packageUrl = text(asset, 'url');
  if (!isDeviceUrl(packageUrl)) throw new Error(`url ${packageUrl} is not https`);
  const hash = asset['sha256s'] === undefined ? 'md5' : 'sha256';
  const digests = asset[`${hash}s`];
  const partBytes = asset[`${hash}-size`];
  return {
    identifier: text(metadata, 'bundle-identifier'),
    name: text(metadata, 'title'),
    version: text(metadata, 'bundle-version'),
    packageUrl,
    hash,
    partBytes: typeof partBytes === 'number' && partBytes > 0 ? partBytes : Number.MAX_SAFE_INTEGER,
    digests: Array.isArray(digests) ? digests.map(String) : [],
  };
}

function list(value: Plist | undefined): PlistDict[] {
  return Array.isArray(value) ? value.filter(isDict) : [];
}

function text(dict: PlistDict, key: string): string {
  const value = dict[key];
  if (typeof value !== 'string' || value === '') throw new Error(`${key} is missing`);
  return value;
}

/** What is wrong with the package, or null. */
export async function packageProblem(facts: DeviceFacts, manifest: Manifest): Promise<string | null> {
  const reply = await download(facts, manifest.packageUrl, 'app');
  if (reply === null) return 'The app could not be downloaded: no server.';
  const { status, body } = reply;
  if (status !== 200) return `status ${status}`;
  const found: string[] = [];
  for (let at = 0; at < body.length; at += manifest.partBytes) {
    const part = body.subarray(at, at + manifest.partBytes);
    found.push(createHash(manifest.hash).update(part).digest('hex'));
  }
  const same = manifest.digests.length === 0 || manifest.digests.join().toLowerCase() === found.join();
  return same ? null : 'the package is not the one that the manifest names';
}

/** Null when its server, which need not be the one that manages the device, does not answer. */
async function download(facts: DeviceFacts, url: string, what: string) {
  try {
    return await facts.download(url, what);
  } catch (error) {
    if (error instanceof TypeError && error.message === 'fetch failed') return null;
    throw error;
  }
}
