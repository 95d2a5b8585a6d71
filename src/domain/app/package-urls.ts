/**
 * Where a device's installer fetches a manifest and a package. The installer is not the MDM client: it signs nothing, so
 * the URL itself is the permission. It holds a sealed token: which package, for which side, until when; nobody without
 * the storage key makes or changes one. docs/threat-model.md says what a URL that leaks is worth.
 */
import { fromBase64Url, readUtf8, toBase64Url, utf8 } from '../../std/bytes.ts';
import { DAY_MS, type EpochMs } from '../../std/time.ts';
import type { Side } from './app.ts';
import type { AppSeal } from './ports.ts';

export type UrlKind = 'manifest' | 'package';

export interface UrlGrant {
  readonly packageId: string;
  readonly side: Side;
}

/** A manifest is fetched once the command arrives; after that the download may take a night on a watch. */
export const PACKAGE_URL_LIFE_MS = 2 * DAY_MS;
/** The token is some 150 characters. */
const TOKEN_CHARS_MAX = 512;
const CONTEXTS: Readonly<Record<UrlKind, string>> = {
  manifest: 'app-manifest-url',
  package: 'app-package-url',
};

export class PackageUrls {
  readonly #publicUrl: string;
  readonly #seal: AppSeal;

  constructor(publicUrl: string, seal: AppSeal) {
    this.#publicUrl = publicUrl;
    this.#seal = seal;
  }

  async make(kind: UrlKind, { packageId, side }: UrlGrant, untilMs: EpochMs): Promise<string> {
    const token = await this.#seal.seal(CONTEXTS[kind], utf8(JSON.stringify([packageId, side, untilMs])));
    const path = kind === 'manifest' ? 'manifest.plist' : 'package.ipa';
    return `${this.#publicUrl}/apps/${toBase64Url(token)}/${path}`;
  }

  /** Null for whatever this server did not make, or whose time is over. */
  async open(kind: UrlKind, token: string, nowMs: EpochMs): Promise<UrlGrant | null> {
    const sealed = token.length <= TOKEN_CHARS_MAX ? fromBase64Url(token) : null;
    const plain = sealed === null ? null : await this.#seal.open(CONTEXTS[kind], sealed);
    const text = plain === null ? null : readUtf8(plain);
    if (text === null) return null;
    const [packageId, side, untilMs] = JSON.parse(text) as [string, Side, number];
    return nowMs < untilMs ? { packageId, side } : null;
  }
}
