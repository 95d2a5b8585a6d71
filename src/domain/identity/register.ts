/**
 * Makes an issued certificate known: recorded, expected by its device's object, and on the watch's timeline, all
 * before the device gets it. Each step is idempotent, so a device that retries SCEP repeats them harmlessly.
 */
import type { EpochMs } from '../../std/time.ts';
import type { Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { PairingStore } from '../pairing/ports.ts';
import type { CertificateRecords, IdentityRegister, IssuedIdentity } from './ports.ts';

export class DeviceIdentityRegister implements IdentityRegister {
  readonly #records: CertificateRecords;
  readonly #devices: Devices;
  readonly #pairings: PairingStore;

  constructor(records: CertificateRecords, devices: Devices, pairings: PairingStore) {
    this.#records = records;
    this.#devices = devices;
    this.#pairings = pairings;
  }

  async issued(identity: IssuedIdentity, nowMs: EpochMs): Promise<void> {
    const { udid, serial, platform, origin } = identity.subject;
    const pairing = origin.kind === 'pairing' ? origin : null;
    await this.#records.insert(identity);
    await this.#devices.of(udid).expectIdentity({
      digest: identity.certificateDigest,
      platform,
      serial,
      pairingId: pairing?.pairingId ?? null,
      phoneUdid: pairing?.phoneUdid ?? null,
      renewalOf: identity.renewalOf,
      issuedAtMs: identity.issuedAtMs,
      permittedAtMs: origin.kind === 'expected-serial' ? origin.listedAtMs : null,
    });
    if (pairing !== null && identity.renewalOf === null) {
      await this.#pairings.progress(udid, pairing.pairingId, 'identity-issued', nowMs);
    }
  }

  isCurrent(udid: Udid, certificateDigest: string, nowMs: EpochMs): Promise<boolean> {
    return this.#devices.of(udid).isCurrent(certificateDigest, nowMs);
  }
}
