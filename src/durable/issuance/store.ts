/** The SQL of one one-time value. Rows become typed records here and nowhere else. */
import type { CredentialRecord, CredentialUse } from '../../domain/identity/credential.ts';
import type { LinkRecord } from '../../domain/identity/one-time-link.ts';
import type { CredentialOrigin } from '../../domain/identity/ports.ts';
import type { Platform, SerialNumber, Udid } from '../../domain/ids.ts';
import type { EpochMs } from '../../std/time.ts';

type CredentialRow = {
  secret_digest: string;
  udid: string;
  serial: string;
  platform: string;
  origin: string;
  expires_at_ms: number;
  key_digest: string | null;
  certificate_serial: string | null;
  used_at_ms: number | null;
};

type LinkRow = {
  link_id: string;
  udid: string;
  serial: string;
  platform: string;
  signed: number;
  expires_at_ms: number;
  taken_at_ms: number | null;
};

export class IssuanceStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  loadCredential(): CredentialRecord | null {
    const [row] = this.#sql.exec<CredentialRow>('SELECT * FROM credential').toArray();
    if (row === undefined) return null;
    return {
      secretDigest: row.secret_digest,
      subject: { ...device(row), origin: JSON.parse(row.origin) as CredentialOrigin },
      expiresAtMs: row.expires_at_ms as EpochMs,
      use: use(row),
    };
  }

  insertCredential(record: Omit<CredentialRecord, 'use'>): void {
    const { udid, serial, platform, origin } = record.subject;
    this.#sql.exec(
      `INSERT INTO credential (id, secret_digest, udid, serial, platform, origin, expires_at_ms)
       VALUES (1, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      record.secretDigest,
      udid,
      serial,
      platform,
      JSON.stringify(origin),
      record.expiresAtMs,
    );
  }

  writeUse(first: CredentialUse): void {
    this.#sql.exec(
      `UPDATE credential SET key_digest = ?, certificate_serial = ?, used_at_ms = ? WHERE key_digest IS NULL`,
      first.keyDigest,
      first.certificateSerialHex,
      first.atMs,
    );
  }

  loadLink(): LinkRecord | null {
    const [row] = this.#sql.exec<LinkRow>('SELECT * FROM link').toArray();
    if (row === undefined) return null;
    return {
      linkId: row.link_id,
      grant: { ...device(row), signed: row.signed === 1 },
      expiresAtMs: row.expires_at_ms as EpochMs,
      takenAtMs: row.taken_at_ms as EpochMs | null,
    };
  }

  insertLink(record: Omit<LinkRecord, 'takenAtMs'>): void {
    const { udid, serial, platform, signed } = record.grant;
    this.#sql.exec(
      `INSERT INTO link (id, link_id, udid, serial, platform, signed, expires_at_ms)
       VALUES (1, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      record.linkId,
      udid,
      serial,
      platform,
      signed ? 1 : 0,
      record.expiresAtMs,
    );
  }

  writeTaken(atMs: EpochMs): void {
    this.#sql.exec('UPDATE link SET taken_at_ms = ? WHERE taken_at_ms IS NULL', atMs);
  }
}

function device(row: { udid: string; serial: string; platform: string }) {
  return { udid: row.udid as Udid, serial: row.serial as SerialNumber, platform: row.platform as Platform };
}

function use(row: CredentialRow): CredentialUse | null {
  const { key_digest, certificate_serial, used_at_ms } = row;
  if (key_digest === null || certificate_serial === null || used_at_ms === null) return null;
  return { keyDigest: key_digest, certificateSerialHex: certificate_serial, atMs: used_at_ms as EpochMs };
}
