/** Devices as deployments of apps look at them, from the index: to refuse early, never to decide. */
import type { DeploymentTarget } from '../../domain/app/ports.ts';
import type { Udid } from '../../domain/ids.ts';
import type { Database } from './database.ts';

interface Row {
  udid: Udid;
  platform: DeploymentTarget['platform'];
  state: DeploymentTarget['state'];
  os_version: string | null;
  phone_udid: Udid | null;
  phone_state: DeploymentTarget['state'] | null;
  phone_os_version: string | null;
}

export async function deploymentTargets(
  db: Database,
  udids: readonly Udid[],
): Promise<readonly DeploymentTarget[]> {
  const rows = await db.all<Row>(
    `SELECT d.udid, d.platform, d.state, d.os_version, d.phone_udid, p.state AS phone_state,
       p.os_version AS phone_os_version
     FROM devices d LEFT JOIN devices p ON p.udid = d.phone_udid
     WHERE d.udid IN (SELECT value FROM json_each(?))`,
    JSON.stringify(udids),
  );
  return rows.map((row) => ({
    udid: row.udid,
    platform: row.platform,
    state: row.state,
    osVersion: row.os_version,
    phone:
      row.phone_udid === null
        ? null
        : { udid: row.phone_udid, state: row.phone_state, osVersion: row.phone_os_version },
  }));
}

export async function groupWatches(
  db: Database,
  group: string,
  after: Udid | null,
  limit: number,
): Promise<readonly Udid[]> {
  const member =
    group === 'everyone'
      ? "?1 = 'everyone'"
      : 'd.udid IN (SELECT udid FROM group_devices WHERE group_name = ?1)';
  const rows = await db.all<{ udid: Udid }>(
    `SELECT d.udid FROM devices d WHERE ${member} AND d.platform = 'watchOS' AND d.state <> 'checked-out'
       AND d.udid > ?2 ORDER BY d.udid LIMIT ?3`,
    group,
    after ?? '',
    limit,
  );
  return rows.map((row) => row.udid);
}
