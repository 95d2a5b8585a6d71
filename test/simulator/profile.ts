/**
 * The enrollment profile as a device reads it: opened if it is signed, then looked over for everything that
 * would make an installation fail or a later check-in impossible (facts 6). What is wrong is thrown.
 */
import { Buffer } from 'node:buffer';
import { type NameParts, OID, readCertificate, type X509 } from './certificate.ts';
import { open } from './cms.ts';
import { isDict, type Plist, type PlistDict, readDict } from './plist.ts';
import { SimulatorError } from './world.ts';

export interface EnrollmentProfile {
  readonly raw: Buffer;
  readonly document: PlistDict;
  readonly signedBy: X509 | null;
  readonly identifier: string;
  readonly serverUrl: string;
  readonly checkInUrl: string;
  readonly topic: string;
  readonly signMessage: boolean;
  readonly checkOutWhenRemoved: boolean;
  readonly accessRights: number;
  readonly serverCapabilities: readonly string[];
  readonly anchors: readonly X509[];
  readonly scep: {
    readonly url: string;
    readonly challenge: string;
    readonly subject: NameParts;
    readonly caFingerprint: Buffer | null;
  };
}

const MDM_TYPES: Record<string, string> = {
  root: 'com.apple.security.root',
  pkcs1: 'com.apple.security.pkcs1',
  pem: 'com.apple.security.pem',
};

const SHORT_NAMES: Record<string, string> = {
  CN: OID.commonName,
  O: OID.organization,
  OU: OID.organizationalUnit,
  C: OID.country,
  L: OID.locality,
  ST: OID.state,
};

export function readEnrollmentProfile(bytes: Uint8Array, where: string): EnrollmentProfile {
  const signed = bytes[0] === 0x30 ? open(bytes) : null;
  const raw = signed === null ? Buffer.from(bytes) : signed.content;
  const document = readDict(raw);
  const look = new Looker(where);
  look.is(document, 'PayloadType', 'Configuration');
  look.envelope(document);
  const payloads = look.dicts(document, 'PayloadContent');
  for (const payload of payloads) look.envelope(payload);
  look.unique([document, ...payloads].map((payload) => look.string(payload, 'PayloadUUID')));
  const mdm = look.only(payloads, 'com.apple.mdm');
  const scepPayload = look.only(payloads, 'com.apple.security.scep');
  if (mdm['IdentityCertificateUUID'] !== scepPayload['PayloadUUID']) {
    throw look.error(
      'IdentityCertificateUUID naming the SCEP payload',
      String(mdm['IdentityCertificateUUID']),
    );
  }
  look.string(mdm, 'PayloadOrganization');
  return {
    raw,
    document,
    signedBy: signed?.signer ?? null,
    identifier: look.string(document, 'PayloadIdentifier'),
    ...readMdm(mdm, look),
    anchors: readAnchors(payloads, look),
    scep: readScep(look.dict(scepPayload, 'PayloadContent'), look),
  };
}

function readMdm(mdm: PlistDict, look: Looker) {
  const serverUrl = look.url(mdm, 'ServerURL');
  const topic = look.string(mdm, 'Topic');
  if (!topic.startsWith('com.apple.mgmt.'))
    throw look.error('a Topic that starts with com.apple.mgmt.', topic);
  const accessRights = mdm['AccessRights'] ?? 0;
  if (typeof accessRights !== 'number' || accessRights < 1 || accessRights > 8191) {
    throw look.error('AccessRights between 1 and 8191', String(accessRights));
  }
  if ((accessRights & 2 && !(accessRights & 1)) || (accessRights & 128 && !(accessRights & 64))) {
    throw look.error('AccessRights in which 2 comes with 1 and 128 with 64', String(accessRights));
  }
  const capabilities = mdm['ServerCapabilities'] ?? [];
  return {
    serverUrl,
    checkInUrl: mdm['CheckInURL'] === undefined ? serverUrl : look.url(mdm, 'CheckInURL'),
    topic,
    signMessage: mdm['SignMessage'] === true,
    checkOutWhenRemoved: mdm['CheckOutWhenRemoved'] === true,
    accessRights,
    serverCapabilities: Array.isArray(capabilities) ? capabilities.map(String) : [],
  };
}

function readAnchors(payloads: readonly PlistDict[], look: Looker): X509[] {
  return payloads
    .filter((payload) => Object.values(MDM_TYPES).includes(String(payload['PayloadType'])))
    .map((payload) => {
      const content = look.data(payload, 'PayloadContent');
      const pem = payload['PayloadType'] === MDM_TYPES['pem'];
      return readCertificate(
        pem ? Buffer.from(content.toString().replace(/-----[^-]+-----/g, ''), 'base64') : content,
      );
    });
}

function readScep(content: PlistDict, look: Looker): EnrollmentProfile['scep'] {
  const keySize = content['Keysize'];
  if (typeof keySize !== 'number' || keySize < 2048)
    throw look.error('Keysize 2048 or more', String(keySize));
  if ((content['Key Type'] ?? 'RSA') !== 'RSA') throw look.error('Key Type RSA', String(content['Key Type']));
  if (content['Key Usage'] !== 5) throw look.error('Key Usage 5', String(content['Key Usage']));
  const fingerprint = content['CAFingerprint'];
  return {
    url: look.url(content, 'URL'),
    challenge: look.string(content, 'Challenge'),
    subject: readSubject(content['Subject'], look),
    caFingerprint: fingerprint === undefined ? null : look.data(content, 'CAFingerprint'),
  };
}

/** `[ [ [type, value] … ] … ]`: an array of RDNs. */
function readSubject(subject: Plist | undefined, look: Looker): NameParts {
  if (subject === undefined) return [];
  const pairs = Array.isArray(subject)
    ? subject.flatMap((rdn) => (Array.isArray(rdn) ? rdn : [null]))
    : [null];
  return pairs.map((pair) => {
    const [type, value] = Array.isArray(pair) ? pair : [];
    if (typeof type !== 'string' || typeof value !== 'string')
      throw look.error('Subject of [type, value] pairs', '?');
    const dotted = SHORT_NAMES[type] ?? type;
    if (!/^[\d.]+$/.test(dotted)) throw look.error('a Subject type the device knows', type);
    return [dotted, value] as const;
  });
}

/** Typed access that throws with the name of what is missing. */
class Looker {
  readonly #where: string;

  constructor(where: string) {
    this.#where = `${where}, enrollment profile`;
  }

  error(expected: string, got: string): SimulatorError {
    return new SimulatorError(this.#where, expected, got);
  }

  is(dict: PlistDict, key: string, value: Plist): void {
    if (dict[key] !== value) throw this.error(`${key} ${String(value)}`, String(dict[key]));
  }

  envelope(dict: PlistDict): void {
    this.is(dict, 'PayloadVersion', 1);
    for (const key of ['PayloadType', 'PayloadIdentifier', 'PayloadUUID']) this.string(dict, key);
  }

  string(dict: PlistDict, key: string): string {
    const value = dict[key];
    if (typeof value !== 'string' || value === '') throw this.error(`a string ${key}`, typeof value);
    return value;
  }

  data(dict: PlistDict, key: string): Buffer {
    const value = dict[key];
    if (!(value instanceof Uint8Array)) throw this.error(`data ${key}`, typeof value);
    return Buffer.from(value);
  }

  dict(dict: PlistDict, key: string): PlistDict {
    const value = dict[key];
    if (!isDict(value)) throw this.error(`a dictionary ${key}`, typeof value);
    return value;
  }

  dicts(dict: PlistDict, key: string): PlistDict[] {
    const value = dict[key];
    if (!Array.isArray(value)) throw this.error(`an array ${key}`, typeof value);
    return value.map((item) => {
      if (!isDict(item)) throw this.error(`dictionaries in ${key}`, typeof item);
      return item;
    });
  }

  only(payloads: readonly PlistDict[], type: string): PlistDict {
    const found = payloads.filter((payload) => payload['PayloadType'] === type);
    if (found.length !== 1) throw this.error(`one ${type} payload`, String(found.length));
    return found[0]!;
  }

  unique(uuids: readonly string[]): void {
    if (new Set(uuids).size !== uuids.length) throw this.error('distinct PayloadUUIDs', uuids.join(', '));
  }

  url(dict: PlistDict, key: string): string {
    const text = this.string(dict, key);
    if (!isDeviceUrl(text)) throw this.error(`an https URL in ${key}`, text);
    return text;
  }
}

/** Devices take https only; plain http is let pass towards this very machine, for local servers. */
export function isDeviceUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return (
    protocol === 'https:' ||
    (protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname))
  );
}
