/**
 * Configuration and provisioning profiles on a device: InstallProfile reads and checks them, keeps them by
 * PayloadIdentifier, and refuses what the platform lacks (facts 15, "Profile payload types"). Removing the enrollment
 * profile ends the enrollment (facts 14). What a payload configures is not simulated, but for restrictions and
 * passcode rules (restrictions.ts) and certificates.
 */
import { Buffer } from 'node:buffer';
import type { Answer } from './answers.ts';
import { OID, readCertificate, readName } from './certificate.ts';
import { open } from './cms.ts';
import type { CertificateFact, DeviceFacts } from './facts.ts';
import { needsSupervision, payloadTypes } from './payload-types.ts';
import { type PlistDict, readDict } from './plist.ts';
import { type Reason, refusal } from './refusals.ts';
import { PASSCODE, payloadsOf, RESTRICTIONS } from './restrictions.ts';

const MDM = 'com.apple.mdm';
const CERTIFICATES = ['com.apple.security.root', 'com.apple.security.pkcs1', 'com.apple.security.pem'];

export function profileAnswers(facts: DeviceFacts): [string, Answer][] {
  return [
    ['InstallProfile', (command) => installProfile(facts, command['Payload'])],
    ['RemoveProfile', (command) => removeProfile(facts, String(command['Identifier']))],
    ['ProfileList', (command) => ({ ProfileList: listProfiles(facts, command['ManagedOnly'] === true) })],
    ['InstallProvisioningProfile', (command) => installProvisioning(facts, command['ProvisioningProfile'])],
    ['RemoveProvisioningProfile', (command) => removeProvisioning(facts, String(command['UUID']))],
    ['ProvisioningProfileList', () => ({ ProvisioningProfileList: listProvisioning(facts) })],
    ['CertificateList', () => ({ CertificateList: certificatesOf(facts).map(certificateItem) })],
  ];
}

/** As `Status: Error`: the installation failed, and below it why. */
function notInstalled(name: string, cause: Reason): PlistDict {
  const text = `The profile “${name}” could not be installed.`;
  return refusal(4001, 'MCInstallationErrorDomain', text, cause);
}

class BadProfile extends Error {
  readonly reason: Reason;

  constructor(code: number, domain: string, text: string) {
    super(text);
    this.reason = { code, domain, text };
  }
}

export interface ReadProfile {
  readonly document: PlistDict;
  readonly signers: readonly Buffer[];
}

function installProfile(facts: DeviceFacts, payload: unknown): PlistDict {
  let name = 'unnamed';
  try {
    const { document, signers } = readProfile(payload);
    name = String(document['PayloadDisplayName'] ?? document['PayloadIdentifier']);
    checkProfile(facts, document);
    const identifier = String(document['PayloadIdentifier']);
    facts.profiles.set(identifier, document);
    facts.signers.set(identifier, signers);
    return {};
  } catch (error) {
    if (error instanceof BadProfile) return notInstalled(name, error.reason);
    throw error;
  }
}

/** Opened if it is signed: the signature must hold, whoever made it. */
function readProfile(payload: unknown): ReadProfile {
  if (!(payload instanceof Uint8Array)) {
    throw new BadProfile(1000, 'MCProfileErrorDomain', 'There is no payload.');
  }
  try {
    const signed = payload[0] === 0x30 ? open(payload) : null;
    return {
      document: readDict(signed === null ? payload : signed.content),
      signers: signed?.certificates.map((one) => one.der) ?? [],
    };
  } catch (error) {
    // Whatever is wrong with the bytes, to the device they are no profile.
    throw new BadProfile(1000, 'MCProfileErrorDomain', `Invalid profile: ${String(error)}`);
  }
}

/** Throws `BadProfile`. */
export function checkProfile(facts: DeviceFacts, document: PlistDict): void {
  checkEnvelope(document);
  if (document['PayloadType'] !== 'Configuration') {
    throw new BadProfile(1000, 'MCProfileErrorDomain', `PayloadType ${String(document['PayloadType'])}`);
  }
  if (document['EncryptedPayloadContent'] !== undefined) {
    throw new BadProfile(1003, 'MCProfileErrorDomain', 'The profile is encrypted for another device.');
  }
  if (!Array.isArray(document['PayloadContent'])) {
    throw new BadProfile(1002, 'MCProfileErrorDomain', 'PayloadContent is missing.');
  }
  const payloads = payloadsOf(document);
  const uuids = [document, ...payloads].map((one) => one['PayloadUUID']);
  if (new Set(uuids).size !== uuids.length) {
    throw new BadProfile(1009, 'MCProfileErrorDomain', 'A PayloadUUID is there twice.');
  }
  for (const payload of payloads) checkPayload(facts, payload);
  const enrollment = document['PayloadIdentifier'] === facts.enrollment()?.identifier;
  if (enrollment && !payloads.some((one) => one['PayloadType'] === MDM)) {
    throw new BadProfile(
      4032,
      'MCInstallationErrorDomain',
      'The enrollment profile cannot be replaced by this.',
    );
  }
}

function checkEnvelope(part: PlistDict): void {
  for (const key of ['PayloadIdentifier', 'PayloadUUID', 'PayloadType']) {
    if (typeof part[key] !== 'string' || part[key] === '') {
      throw new BadProfile(1002, 'MCProfileErrorDomain', `${key} is missing.`);
    }
  }
  if (typeof part['PayloadVersion'] !== 'number') {
    throw new BadProfile(1002, 'MCProfileErrorDomain', 'PayloadVersion is missing.');
  }
}

function checkPayload(facts: DeviceFacts, payload: PlistDict): void {
  checkEnvelope(payload);
  const type = String(payload['PayloadType']);
  if (!payloadTypes(facts.family).has(type)) {
    throw new BadProfile(2004, 'MCPayloadErrorDomain', `${type} is not known on ${facts.modelName}.`);
  }
  if (needsSupervision(facts.family, type) && !facts.supervised) {
    throw new BadProfile(4010, 'MCInstallationErrorDomain', `${type} needs supervision.`);
  }
  if (type === RESTRICTIONS || type === PASSCODE) checkFlags(payload);
  if (CERTIFICATES.includes(type)) readPayloadCertificates(payload);
  const file = payload['PayloadContent'];
  if (type === 'com.apple.security.pkcs12' && !(file instanceof Uint8Array && file[0] === 0x30)) {
    throw new BadProfile(9001, 'MCCertificateErrorDomain', 'PayloadContent is no PKCS#12.');
  }
}

function checkFlags(payload: PlistDict): void {
  const wrong = Object.entries(payload).find(
    ([name, value]) => /^(allow|force)/.test(name) && !Array.isArray(value) && typeof value !== 'boolean',
  );
  if (wrong !== undefined) {
    throw new BadProfile(2003, 'MCPayloadErrorDomain', `${wrong[0]} is not a boolean.`);
  }
}

function readPayloadCertificates(payload: PlistDict): CertificateFact[] {
  const content = payload['PayloadContent'];
  try {
    if (!(content instanceof Uint8Array)) throw new Error('PayloadContent is not data');
    const text = Buffer.from(content).toString('latin1');
    const ders = text.includes('-----BEGIN')
      ? [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END/g)].map((one) =>
          Buffer.from(one[1]!, 'base64'),
        )
      : [Buffer.from(content)];
    return ders.map((der) => {
      const name = readName(readCertificate(der).subject).get(OID.commonName) ?? '';
      return { name, identity: false, der };
    });
  } catch (error) {
    // Whatever is wrong with the bytes, to the device they are no certificate.
    throw new BadProfile(9000, 'MCCertificateErrorDomain', `Invalid certificate: ${String(error)}`);
  }
}

function removeProfile(facts: DeviceFacts, identifier: string): PlistDict {
  if (identifier === facts.enrollment()?.identifier) {
    facts.leaving = 'profile-removed';
    return {};
  }
  if (!facts.profiles.delete(identifier)) {
    const text = `The profile “${identifier}” is not installed.`;
    return refusal(12075, 'MCMDMErrorDomain', text);
  }
  facts.signers.delete(identifier);
  return {};
}

const LISTED = [
  'PayloadIdentifier',
  'PayloadUUID',
  'PayloadVersion',
  'PayloadDisplayName',
  'PayloadOrganization',
  'PayloadDescription',
];

function pick(from: PlistDict, keys: readonly string[]): PlistDict {
  return Object.fromEntries(Object.entries(from).filter(([key]) => keys.includes(key)));
}

/** Everything here came by management; a device lists what its owner installed only unless asked for managed ones. */
function listProfiles(facts: DeviceFacts, _managedOnly: boolean): PlistDict[] {
  const ordered = [...facts.profiles.values()].map((one) => profileItem(facts, one));
  return [...ordered, ...facts.declaredProfiles().map((one) => profileItem(facts, one))];
}

function profileItem(facts: DeviceFacts, profile: PlistDict): PlistDict {
  const signers = facts.signers.get(String(profile['PayloadIdentifier'])) ?? [];
  return {
    ...pick(profile, [...LISTED, 'PayloadRemovalDisallowed']),
    HasRemovalPasscode: profile['HasRemovalPasscode'] === true,
    IsEncrypted: false,
    IsManaged: true,
    ...(signers.length === 0 ? {} : { SignerCertificates: [...signers] }),
    PayloadContent: payloadsOf(profile).map((payload) => pick(payload, [...LISTED, 'PayloadType'])),
  };
}

/** The identity of the enrollment, and what profiles brought, each once. */
export function certificatesOf(facts: DeviceFacts): CertificateFact[] {
  const inProfiles = [...facts.profiles.values(), ...facts.declaredProfiles()].flatMap((profile) =>
    payloadsOf(profile)
      .filter((payload) => CERTIFICATES.includes(String(payload['PayloadType'])))
      .flatMap(certificatesIn),
  );
  const all = [...facts.identities(), ...inProfiles];
  return all.filter((one, at) => all.findIndex(({ der }) => der.equals(one.der)) === at);
}

/** Of a profile that a declaration brought, which was not looked into. */
function certificatesIn(payload: PlistDict): CertificateFact[] {
  try {
    return readPayloadCertificates(payload);
  } catch (error) {
    if (error instanceof BadProfile) return [];
    throw error;
  }
}

function certificateItem({ name, identity, der }: CertificateFact): PlistDict {
  return { CommonName: name, IsIdentity: identity, Data: der };
}

/** CMS around a property list with Name, UUID and ExpirationDate. */
function installProvisioning(facts: DeviceFacts, data: unknown): PlistDict {
  try {
    if (!(data instanceof Uint8Array)) throw new Error('there is no profile');
    const { UUID: uuid, Name: name, ExpirationDate: expiry } = readDict(open(data).content);
    if (typeof uuid !== 'string' || typeof name !== 'string') throw new Error('Name or UUID is missing');
    facts.provisioning.set(uuid, { name, expiry: expiry instanceof Date ? expiry : null });
    return {};
  } catch (error) {
    // Whatever is wrong with the bytes, to the device they are no provisioning profile.
    return refusal(
      25000,
      'MCProvisioningProfileErrorDomain',
      `Invalid provisioning profile: ${String(error)}`,
    );
  }
}

function removeProvisioning(facts: DeviceFacts, uuid: string): PlistDict {
  if (facts.provisioning.delete(uuid)) return {};
  return refusal(25005, 'MCProvisioningProfileErrorDomain', `There is no provisioning profile ${uuid}.`);
}

function listProvisioning(facts: DeviceFacts): PlistDict[] {
  return [...facts.provisioning].map(([UUID, { name, expiry }]) => ({
    Name: name,
    UUID,
    ...(expiry === null ? {} : { ExpiryDate: expiry }),
  }));
}
