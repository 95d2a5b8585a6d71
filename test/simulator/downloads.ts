/**
 * What a device makes of a download (facts 4.3 and 15, "Asset data formats"): status, Content-Type, size and digest
 * must agree with the reference, and the bytes must be what the declaration's type promises.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readCertificate } from './certificate.ts';
import { open } from './cms.ts';
import { type Declaration, isJsonDict, type JsonDict, type Reason, reason } from './declarations.ts';
import { readDict } from './plist.ts';
import type { Reply } from './world.ts';

/** Null when it is as it should be. */
export function judgeAsset(asset: Declaration, reference: JsonDict, reply: Reply): Reason | null {
  const { ContentType: contentType, Size: size, 'Hash-SHA-256': hash } = reference;
  const wrong =
    reply.status !== 200
      ? `status ${reply.status}`
      : contentType !== undefined && reply.contentType !== contentType
        ? `content type ${reply.contentType}, declared ${String(contentType)}`
        : typeof size === 'number' && size !== reply.body.length
          ? `${reply.body.length} bytes, declared ${size}`
          : null;
  if (wrong !== null) return reason('Error.AssetCannotBeDownloaded', wrong);
  if (typeof hash === 'string' && size !== 0 && !isDigest(hash, reply.body)) {
    return reason('Error.AssetCannotBeVerified', 'Hash-SHA-256 differs');
  }
  const unreadable = asset.type === CERTIFICATE ? certificate(reply) : credential(asset.type, reply);
  return unreadable === null ? null : reason('Error.AssetCannotBeDeserialized', unreadable);
}

/** What is wrong with the data of a `ProfileURL`, or null. */
export function judgeProfile(reply: Reply): string | null {
  if (reply.status !== 200) return `status ${reply.status}`;
  if (reply.contentType !== 'application/x-apple-aspen-config') return `content type ${reply.contentType}`;
  try {
    const plain = reply.body[0] === 0x30 ? open(reply.body).content : reply.body;
    const { PayloadType: type, PayloadContent: content } = readDict(plain);
    return type === 'Configuration' && Array.isArray(content) ? null : 'not a configuration profile';
  } catch (error) {
    return `not a profile: ${String(error)}`;
  }
}

const CERTIFICATE = 'com.apple.asset.credential.certificate';

/** The keys that each credential document must have, and which of them are data. */
const CREDENTIALS: Readonly<Record<string, readonly string[]>> = {
  'com.apple.asset.credential.identity': ['Password', 'Identity'],
  'com.apple.asset.credential.userpassword': ['UserName'],
  'com.apple.asset.credential.scep': ['URL'],
  'com.apple.asset.credential.acme': [
    'DirectoryURL',
    'ClientIdentifier',
    'KeySize',
    'KeyType',
    'HardwareBound',
    'Subject',
  ],
};

function credential(type: string, reply: Reply): string | null {
  const required = CREDENTIALS[type];
  if (required === undefined) return null;
  try {
    const document: unknown = JSON.parse(reply.body.toString());
    if (!isJsonDict(document as JsonDict)) return 'not a JSON object';
    const members = document as JsonDict;
    const missing = required.find((key) => members[key] === undefined);
    if (missing !== undefined) return `${missing} is missing`;
    const { Identity: identity } = members;
    const file = typeof identity === 'string' ? Buffer.from(identity, 'base64') : null;
    return file === null || file[0] === 0x30 ? null : 'Identity is no PKCS#12';
  } catch {
    // Whatever is wrong with the bytes, the answer is that they are no JSON.
    return 'not JSON';
  }
}

/** The encoding is undocumented (facts 4.3): hex in either case or base64. */
function isDigest(text: string, data: Buffer): boolean {
  const digest = createHash('sha256').update(data).digest();
  return text.toLowerCase() === digest.toString('hex') || text === digest.toString('base64');
}

function certificate({ body, contentType }: Reply): string | null {
  try {
    const pem = contentType === 'application/pem';
    readCertificate(pem ? Buffer.from(body.toString().replace(/-----[^-]+-----/g, ''), 'base64') : body);
    return null;
  } catch {
    // Whatever is wrong with the bytes, the answer is that they are no certificate.
    return 'not a certificate';
  }
}
