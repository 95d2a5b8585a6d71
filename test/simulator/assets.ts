/**
 * The data of a device's assets and legacy profiles (facts 4.3): downloaded once a server token, and kept only if it is
 * what was declared (downloads.ts).
 */
import type { Buffer } from 'node:buffer';
import { type Declaration, isJsonDict, type Reason, reason } from './declarations.ts';
import { judgeAsset, judgeProfile } from './downloads.ts';
import { isDeviceUrl } from './profile.ts';
import type { Reply } from './world.ts';

export type Download = (url: string, asDevice: boolean) => Promise<Reply>;

export class AssetStore {
  readonly #download: Download;
  readonly #held = new Map<string, { readonly serverToken: string; readonly data: Buffer }>();

  constructor(download: Download) {
    this.#download = download;
  }

  data(identifier: string): Buffer | null {
    return this.#held.get(identifier)?.data ?? null;
  }

  /** What is not declared any more goes. */
  keep(identifiers: ReadonlySet<string>): void {
    for (const identifier of this.#held.keys())
      if (!identifiers.has(identifier)) this.#held.delete(identifier);
  }

  /** Null once the data is here, or there is none to be had. Throws where the reference breaks the protocol. */
  async asset(one: Declaration): Promise<Reason | null> {
    const reference = one.payload['Reference'];
    if (this.#has(one) || !isJsonDict(reference)) return null;
    const url = reference['DataURL'];
    if (typeof url !== 'string' || !isDeviceUrl(url)) throw new Error(`DataURL ${String(url)} is not https`);
    const authentication = one.payload['Authentication'];
    const asDevice = isJsonDict(authentication) && authentication['Type'] === 'MDM';
    const reply = await this.#download(url, asDevice);
    const failure = judgeAsset(one, reference, reply);
    if (failure === null) this.#keep(one, reply);
    return failure;
  }

  /** The profile that `com.apple.configuration.legacy` names, asked for as the device that it is. */
  async profile(one: Declaration): Promise<Reason | null> {
    if (this.#has(one)) return null;
    const url = one.payload['ProfileURL'];
    if (typeof url !== 'string' || !isDeviceUrl(url)) {
      return reason('Error.ConfigurationCannotBeApplied', 'ProfileURL is not an https URL');
    }
    const reply = await this.#download(url, true);
    const wrong = judgeProfile(reply);
    if (wrong !== null) return reason('Error.ConfigurationCannotBeApplied', wrong);
    this.#keep(one, reply);
    return null;
  }

  #has({ identifier, serverToken }: Declaration): boolean {
    return this.#held.get(identifier)?.serverToken === serverToken;
  }

  #keep({ identifier, serverToken }: Declaration, { body }: Reply): void {
    this.#held.set(identifier, { serverToken, data: body });
  }
}
