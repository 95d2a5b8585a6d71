/** Every certificate that was issued to a device, for ever: table `certificates`. Rows are written once. */
import type { CertificateRecord, CertificateRecords, CredentialOrigin } from '../../domain/identity/ports.ts';
import type { Platform, SerialNumber, Udid } from '../../domain/ids.ts';
import type { EpochMs } from '../../std/time.ts';
import { blob, type Database } from './database.ts';

interface Row {
  readonly digest: string;
  readonly serial_hex: string;
  readonly udid: string;
  readonly device_serial: string;
  readonly platform: string;
  readonly credential_id: string;
  readonly origin: string;
  readonly renewal_of: string | null;
  readonly der: unknown;
  readonly not_before_ms: number;
  readonly not_after_ms: number;
}

export class D1CertificateRecords implements CertificateRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async insert(identity: CertificateRecord): Promise<void> {
    const { subject } = identity;
    // A serial number that another certificate has is a fault of the authority's: that conflict is not forgiven.
    await this.#database.run(
      `INSERT INTO certificates (digest, serial_hex, udid, device_serial, platform, credential_id, origin,
         renewal_of, der, not_before_ms, not_after_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
      identity.certificateDigest,
      identity.serialHex,
      subject.udid,
      subject.serial,
      subject.platform,
      identity.credentialId,
      JSON.stringify(subject.origin),
      identity.renewalOf,
      identity.certificateDer,
      identity.notBeforeMs,
      identity.notAfterMs,
    );
  }

  async find(certificateDigest: string): Promise<CertificateRecord | null> {
    const sql = 'SELECT * FROM certificates WHERE digest = ?';
    const row = await this.#database.first<Row>(sql, certificateDigest);
    return row === null ? null : certificateRecord(row);
  }
}

function certificateRecord(row: Row): CertificateRecord {
  return {
    subject: {
      udid: row.udid as Udid,
      serial: row.device_serial as SerialNumber,
      platform: row.platform as Platform,
      origin: JSON.parse(row.origin) as CredentialOrigin,
    },
    credentialId: row.credential_id,
    certificateDigest: row.digest,
    certificateDer: blob(row.der),
    serialHex: row.serial_hex,
    notBeforeMs: row.not_before_ms as EpochMs,
    notAfterMs: row.not_after_ms as EpochMs,
    renewalOf: row.renewal_of,
  };
}
