/**
 * The manifest of an app that is not in the App Store (Apple: ManifestURL): one item with one asset of kind
 * `software-package`, and what the app is called. `md5s` lets the device check, and fetch again, part by part.
 */
import type { Bytes } from '../../std/bytes.ts';
import { encodePlist } from '../plist/encode.ts';

export interface AppManifest {
  readonly packageUrl: string;
  readonly md5Bytes: number;
  readonly md5s: readonly string[];
  readonly bundleId: string;
  readonly bundleVersion: string;
  readonly title: string;
}

export function encodeAppManifest(manifest: AppManifest): Bytes {
  const { packageUrl, md5Bytes, md5s, bundleId, bundleVersion, title } = manifest;
  const asset = { kind: 'software-package', url: packageUrl, 'md5-size': md5Bytes, md5s: [...md5s] };
  const metadata = {
    'bundle-identifier': bundleId,
    'bundle-version': bundleVersion,
    kind: 'software',
    title,
  };
  return encodePlist({ items: [{ assets: [asset], metadata }] });
}
