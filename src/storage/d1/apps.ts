/**
 * Apps and the records of their packages in D1. A package's row is written before its object and removed after it, so
 * the bucket holds nothing that no row names.
 */
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { App, AppInput, PackageDetails, Side, StoredPackage } from '../../domain/app/app.ts';
import type { AppStore } from '../../domain/app/ports.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { type Bound, blob, type Database, type Statement } from './database.ts';

interface Row {
  watch_bundle_id: string;
  name: string;
  kind: App['kind'];
  phone_bundle_id: string | null;
  details: string;
  version: string;
  updated_at_ms: EpochMs;
  package_id: string | null;
  package_details: string | null;
  package_created_at_ms: EpochMs | null;
}

/** Of `apps.details`. */
interface Details {
  readonly source: AppInput['source'];
  readonly install: AppInput['install'];
  readonly phone: Pick<NonNullable<AppInput['phone']>, 'source' | 'install'> | null;
  readonly configured: readonly Side[];
}

const SELECT = `SELECT a.watch_bundle_id, a.name, a.kind, a.phone_bundle_id, a.details, a.version, a.updated_at_ms,
    p.package_id, p.details AS package_details, p.created_at_ms AS package_created_at_ms
  FROM apps a LEFT JOIN app_packages p ON p.package_id = a.package_id`;

export class D1Apps implements AppStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(page: PageQuery): Promise<Outcome<Page<App>, MalformedCursor>> {
    const rows = await this.#db.all<Row>(
      `${SELECT} WHERE a.watch_bundle_id > ? ORDER BY a.watch_bundle_id LIMIT ?`,
      page.cursor ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(record);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.watchBundleId ?? null) : null });
  }

  async find(watchBundleId: string): Promise<App | null> {
    const row = await this.#db.first<Row>(`${SELECT} WHERE a.watch_bundle_id = ?`, watchBundleId);
    return row === null ? null : record(row);
  }

  async configuration(watchBundleId: string): Promise<Bytes | null> {
    const row = await this.#db.first<{ configuration: unknown }>(
      'SELECT configuration FROM apps WHERE watch_bundle_id = ?',
      watchBundleId,
    );
    return row?.configuration == null ? null : blob(row.configuration);
  }

  async insert(app: App, sealed: Bytes | null): Promise<boolean> {
    const changes = await this.#db.run(
      `INSERT INTO apps (watch_bundle_id, name, kind, phone_bundle_id, details, configuration, version, updated_at_ms)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (watch_bundle_id) DO NOTHING`,
      ...columns(app, sealed),
    );
    return changes > 0;
  }

  async replace(app: App, sealed: Bytes | null, version: string): Promise<boolean> {
    const changes = await this.#db.run(
      `UPDATE apps SET name = ?2, kind = ?3, phone_bundle_id = ?4, details = ?5, configuration = ?6, version = ?7,
         updated_at_ms = ?8 WHERE watch_bundle_id = ?1 AND version = ?9`,
      ...columns(app, sealed),
      version,
    );
    return changes > 0;
  }

  async remove(
    watchBundleId: string,
    version: string,
    nowMs: EpochMs,
  ): Promise<'removed' | 'changed' | 'deployed'> {
    const running = "SELECT 1 FROM app_deployments WHERE app_id = ?1 AND state = 'running'";
    const [changes] = await this.#db.batch([
      {
        sql: `DELETE FROM apps WHERE watch_bundle_id = ?1 AND version = ?2 AND NOT EXISTS (${running})`,
        bound: [watchBundleId, version],
      },
      leaveOver(watchBundleId, nowMs),
    ]);
    if (changes === 1) return 'removed';
    return (await this.#db.first(running, watchBundleId)) === null ? 'changed' : 'deployed';
  }

  async beginPackage(packageId: string, watchBundleId: string, nowMs: EpochMs): Promise<void> {
    await this.#db.run(
      'INSERT INTO app_packages (package_id, app_id, created_at_ms, left_over_since_ms) VALUES (?1, ?2, ?3, ?3)',
      packageId,
      watchBundleId,
      nowMs,
    );
  }

  async finishPackage(
    { packageId, createdAtMs: _, ...details }: StoredPackage,
    watchBundleId: string,
    { version, nowMs }: { readonly version: string; readonly nowMs: EpochMs },
  ): Promise<boolean> {
    const [, changed] = await this.#db.batch([
      {
        sql: 'UPDATE app_packages SET details = ?, left_over_since_ms = NULL WHERE package_id = ?',
        bound: [JSON.stringify(details), packageId],
      },
      {
        sql: 'UPDATE apps SET package_id = ?, version = ?, updated_at_ms = ? WHERE watch_bundle_id = ?',
        bound: [packageId, version, nowMs, watchBundleId],
      },
      leaveOver(watchBundleId, nowMs),
    ]);
    return (changed ?? 0) > 0;
  }

  async findPackage(packageId: string): Promise<(StoredPackage & { watchBundleId: string }) | null> {
    const row = await this.#db.first<{ app_id: string; details: string; created_at_ms: EpochMs }>(
      'SELECT app_id, details, created_at_ms FROM app_packages WHERE package_id = ? AND details IS NOT NULL',
      packageId,
    );
    if (row === null) return null;
    const details = JSON.parse(row.details) as PackageDetails;
    return { ...details, packageId, createdAtMs: row.created_at_ms, watchBundleId: row.app_id };
  }

  async leftOverPackages(sinceBeforeMs: EpochMs, limit: number): Promise<readonly string[]> {
    const rows = await this.#db.all<{ package_id: string }>(
      'SELECT package_id FROM app_packages WHERE left_over_since_ms < ? ORDER BY left_over_since_ms LIMIT ?',
      sinceBeforeMs,
      limit,
    );
    return rows.map((row) => row.package_id);
  }

  async forgetPackages(packageIds: readonly string[]): Promise<void> {
    await this.#db.run(
      'DELETE FROM app_packages WHERE package_id IN (SELECT value FROM json_each(?))',
      JSON.stringify(packageIds),
    );
  }
}

/** Packages of the app that it does not have any more. */
function leaveOver(watchBundleId: string, nowMs: EpochMs): Statement {
  return {
    sql: `UPDATE app_packages SET left_over_since_ms = ?2 WHERE app_id = ?1 AND left_over_since_ms IS NULL
            AND package_id NOT IN (SELECT package_id FROM apps WHERE package_id IS NOT NULL)`,
    bound: [watchBundleId, nowMs],
  };
}

function columns(app: App, sealed: Bytes | null): Bound[] {
  const { source, install, phone, configured } = app;
  const side = phone === null ? null : { source: phone.source, install: phone.install };
  const details: Details = { source, install, phone: side, configured };
  const { watchBundleId, name, kind, version, updatedAtMs } = app;
  const phoneBundleId = phone?.bundleId ?? null;
  return [watchBundleId, name, kind, phoneBundleId, JSON.stringify(details), sealed, version, updatedAtMs];
}

function record(row: Row): App {
  const { source, install, phone, configured } = JSON.parse(row.details) as Details;
  const bundleId = row.phone_bundle_id;
  return {
    watchBundleId: row.watch_bundle_id,
    name: row.name,
    kind: row.kind,
    source,
    install,
    phone: bundleId === null || phone === null ? null : { bundleId, ...phone },
    configured,
    package: packageOf(row),
    version: row.version,
    updatedAtMs: row.updated_at_ms,
  };
}

function packageOf(row: Row): StoredPackage | null {
  const { package_id: packageId, package_details: details, package_created_at_ms: createdAtMs } = row;
  if (packageId === null || details === null || createdAtMs === null) return null;
  return { ...(JSON.parse(details) as PackageDetails), packageId, createdAtMs };
}
