/** A whole identity service over fakes: the test authority, cells in memory, a register that remembers. */

import { type CredentialRecord, decideConsume } from '../../src/domain/identity/credential.ts';
import { type IssuanceCells, IssuanceMint } from '../../src/domain/identity/issuance.ts';
import { decideTake, type LinkRecord } from '../../src/domain/identity/one-time-link.ts';
import type {
  CertificateRecord,
  CertificateRecords,
  CredentialSubject,
  IdentityRegister,
  IssuedIdentity,
} from '../../src/domain/identity/ports.ts';
import { ScepService } from '../../src/domain/identity/scep-service.ts';
import { parseSerialNumber, parseUdid, type Udid } from '../../src/domain/ids.ts';
import { CertificateAuthority } from '../../src/pki/certificate-authority.ts';
import { ChainVerifier } from '../../src/pki/chain.ts';
import { importAuthority } from '../../src/pki/keys.ts';
import { randomBytes } from '../../src/pki/random.ts';
import { epochMs } from '../../src/std/time.ts';
import caKeyPem from '../vectors/scep/ca.key.pem?raw';
import caPem from '../vectors/scep/ca.pem?raw';

export const NOW = epochMs(Date.UTC(2027, 0, 15, 12));

export const UDID = '00008006-001122334455667A';

export function subject(udid = UDID, serial = 'TESTWATCH1'): CredentialSubject {
  const parsed = parseUdid(udid);
  const serialNumber = parseSerialNumber(serial);
  if (!parsed.ok || !serialNumber.ok) throw new Error('malformed fixture');
  return {
    udid: parsed.value,
    serial: serialNumber.value,
    platform: 'watchOS',
    origin: { kind: 'pairing', pairingId: 'pairing-1', phoneUdid: parsed.value },
  };
}

/** The port's promises, kept in a map. */
export function memoryCells(): IssuanceCells {
  const credentials = new Map<string, CredentialRecord>();
  const links = new Map<string, LinkRecord>();
  return (name) => ({
    async openCredential(record) {
      if (!credentials.has(name)) credentials.set(name, { ...record, use: null });
    },
    async consumeCredential(claim, nowMs) {
      const record = credentials.get(name) ?? null;
      const { outcome, firstUse } = decideConsume(record, claim, nowMs);
      if (record !== null && firstUse !== null) credentials.set(name, { ...record, use: firstUse });
      return outcome;
    },
    async openLink(record) {
      if (!links.has(name)) links.set(name, { ...record, takenAtMs: null });
    },
    async takeLink(nowMs) {
      const record = links.get(name) ?? null;
      const outcome = decideTake(record, nowMs);
      if (record !== null && outcome.ok) links.set(name, { ...record, takenAtMs: nowMs });
      return outcome;
    },
  });
}

export class MemoryRegister implements IdentityRegister, CertificateRecords {
  readonly issuedIdentities: CertificateRecord[] = [];
  /** Every telling, repeated ones included. */
  readonly told: IssuedIdentity[] = [];
  readonly current = new Map<Udid, string>();
  /** Thrown by the next call, once. */
  failure: Error | null = null;

  async issued(identity: IssuedIdentity): Promise<void> {
    const { failure } = this;
    this.failure = null;
    if (failure !== null) throw failure;
    this.told.push(identity);
    await this.insert(identity);
    this.current.set(identity.subject.udid, identity.certificateDigest);
  }

  async isCurrent(udid: Udid, digest: string): Promise<boolean> {
    return this.current.get(udid) === digest;
  }

  async insert(identity: CertificateRecord): Promise<void> {
    const known = this.issuedIdentities.some((one) => one.certificateDigest === identity.certificateDigest);
    if (!known) this.issuedIdentities.push(identity);
  }

  async find(digest: string): Promise<CertificateRecord | null> {
    return this.issuedIdentities.find((one) => one.certificateDigest === digest) ?? null;
  }
}

export async function testIdentity() {
  const authority = await importAuthority(caPem, caKeyPem);
  const certificates = new CertificateAuthority(authority, 'Escapement Test');
  const anchors = [authority.certificate];
  const chain = new ChainVerifier({ anchors, checkDates: false, sha1: false, rsaBitsMin: 2048 });
  const cells = memoryCells();
  const register = new MemoryRegister();
  const scep = new ScepService({
    authority,
    certificates,
    chain,
    cells,
    register,
    records: register,
    random: randomBytes,
  });
  return {
    authority,
    certificates,
    chain,
    cells,
    register,
    scep,
    mint: new IssuanceMint(cells, randomBytes),
  };
}
