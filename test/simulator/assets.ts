/**
 * The data of a device's assets (facts 4.3): downloaded once a server token, and kept only if status, Content-Type,
 * size and digest all agree with the reference and the data is what the asset's type says.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readCertificate } from './certificate.ts';
import { open } from './cms.ts';
import { type Declaration, isJsonDict, type Json, type Reason, reason } from './declarations.ts';
import { readDict } from './plist.ts';
import { isDeviceUrl } from './profile.ts';
import type { Reply } from './world.ts';

export type Download = (url: string, asDevice: boolean) => Promise<Reply>;

/** Assets whose data is a JSON document, with the keys that it cannot do without. */
const CREDENTIALS: Record<string, readonly string[]> = {
  'com.apple.asset.credential.acme': [
    'DirectoryURL',
    'ClientIdentifier',
    'KeySize',
    'KeyType',
    'HardwareBound',
    'Subject',
  ],
  'com.apple.asset.credential.identity': ['Password', 'Identity'],
  'com.apple.asset.credential.scep': ['URL'],
  'com.apple.asset.credential.userpassword': ['UserName'],
};

export class AssetStore {
  readonly #download: Download;
  readonly #held = new Map<string, { readonly serverToken: string; readonly data: Buffer }>();

  constructor(download: Download) {
    this.#download = download;
  }

  data(identifier: string): Buffer | null {
    return this.#held.get(identifier)?.data ?? null;
  }

  /** Null once the data is here, or there is none to be had. Throws where the reference breaks the protocol. */
  async fetch(asset: Declaration): Promise<Reason | null> {
    if (this.#held.get(asset.identifier)?.serverToken === asset.serverToken) return null;
    const reference = asset.payload['Reference'];
    if (!isJsonDict(reference)) return null;
    const { DataURL: url, ContentType: contentType, Size: size, 'Hash-SHA-256': hash } = reference;
    if (typeof url !== 'string' || !isDeviceUrl(url)) throw new Error(`DataURL ${String(url)} is not https`);
    const authentication = asset.payload['Authentication'];
    const asDevice = isJsonDict(authentication) && authentication['Type'] === 'MDM';
    const reply = await this.#download(url, asDevice);
    const wrong = mismatch(reply, contentType, size);
    if (wrong !== null) return reason('Error.AssetCannotBeDownloaded', wrong);
    if (typeof hash === 'string' && size !== 0 && !isDigest(hash, reply.body)) {
      return reason('Error.AssetCannotBeVerified', 'Hash-SHA-256 differs');
    }
    const unreadable = unreadableAs(asset.type, reply);
    if (unreadable !== null) return reason('Error.AssetCannotBeDeserialized', unreadable);
    this.#held.set(asset.identifier, { serverToken: asset.serverToken, data: reply.body });
    return null;
  }

  /** The profile that `com.apple.configuration.legacy` names, asked for as the device that it is. */
  async profile(one: Declaration): Promise<Reason | null> {
    if (this.#held.get(one.identifier)?.serverToken === one.serverToken) return null;
    const url = one.payload['ProfileURL'];
    if (typeof url !== 'string') return null;
    if (!isDeviceUrl(url)) return reason('Error.ConfigurationIsInvalid', 'ProfileURL is not an https URL');
    const reply = await this.#download(url, true);
    const wrong = mismatch(reply, undefined, undefined) ?? unreadableProfile(reply);
    if (wrong !== null) return reason('Error.ConfigurationCannotBeApplied', wrong);
    this.#held.set(one.identifier, { serverToken: one.serverToken, data: reply.body });
    return null;
  }
}

function unreadableProfile(reply: Reply): string | null {
  try {
    const text = reply.body[0] === 0x30 ? open(reply.body).content : reply.body;
    return typeof readDict(text)['PayloadIdentifier'] === 'string' ? null : 'no PayloadIdentifier';
  } catch (error) {
    return `no profile: ${String(error)}`;
  }
}

function mismatch(reply: Reply, contentType: Json | undefined, size: Json | undefined): string | null {
  if (reply.status !== 200) return `status ${reply.status}`;
  if (contentType !== undefined && reply.contentType !== contentType) {
    return `content type ${reply.contentType}, declared ${String(contentType)}`;
  }
  const declared = typeof size === 'number' ? size : reply.body.length;
  return declared === reply.body.length ? null : `${reply.body.length} bytes, declared ${declared}`;
}

function unreadableAs(type: string, reply: Reply): string | null {
  if (type === 'com.apple.asset.credential.certificate') {
    return isCertificate(reply.body, reply.contentType) ? null : 'not a certificate';
  }
  const required = CREDENTIALS[type];
  if (required === undefined) return null;
  const document = readJson(reply.body);
  if (!isJsonDict(document)) return 'not a JSON object';
  const missing = required.find((key) => document[key] === undefined);
  return missing === undefined ? null : `${missing} is missing`;
}

function readJson(data: Buffer): Json {
  try {
    return JSON.parse(data.toString()) as Json;
  } catch {
    // Whatever is wrong with the text, the answer is that it is no document.
    return null;
  }
}

/** The encoding is undocumented (facts 4.3): hex in either case or base64. */
function isDigest(text: string, data: Buffer): boolean {
  const digest = createHash('sha256').update(data).digest();
  return text.toLowerCase() === digest.toString('hex') || text === digest.toString('base64');
}

function isCertificate(data: Buffer, contentType: string): boolean {
  try {
    const pem = contentType === 'application/pem';
    readCertificate(pem ? Buffer.from(data.toString().replace(/-----[^-]+-----/g, ''), 'base64') : data);
    return true;
  } catch {
    // Whatever is wrong with the bytes, the answer is that they are no certificate.
    return false;
  }
}
