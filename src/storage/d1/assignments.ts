/** What is assigned to devices, for their manifests: some six queries however many devices, no payload but templates. */
import type {
  Assigned,
  AssignedDeclaration,
  AssignmentSource,
  Membership,
} from '../../domain/declaration/library-ports.ts';
import type { DeclarationKind } from '../../domain/declaration/manifest.ts';
import { NO_PROPERTIES } from '../../domain/declaration/properties.ts';
import type { Udid } from '../../domain/ids.ts';
import type { Database } from './database.ts';
import { D1Subscriptions, type PropertyRow, readProperties } from './settings.ts';

export interface EntryRow {
  identifier: string;
  kind: DeclarationKind;
  type: string;
  server_token: string;
  salt: string | null;
  /** Null unless it is a template. */
  payload: string | null;
}

interface MembershipRow {
  /** Null for everyone's. */
  udid: Udid | null;
  set_name: string;
  group_name: string | null;
  percent: number;
}

export const ENTRY = `d.identifier, d.kind, d.type, d.server_token, d.salt, iif(d.templated, d.payload, NULL) AS payload
  FROM declarations d`;

/** Watch enrollments that apply to devices, the one that counts first: its own, its groups' by name, everyone's. */
export const WATCH_ENROLLMENTS = `
  SELECT phone_udid AS udid, NULL AS group_name, 0 AS rank, anchors, declarations, assigned_at_ms
    FROM watch_enrollments WHERE phone_udid IN (SELECT value FROM json_each(?1))
  UNION ALL
  SELECT m.udid, w.group_name, 1, w.anchors, w.declarations, w.assigned_at_ms
    FROM group_devices m JOIN watch_enrollment_groups w ON w.group_name = m.group_name
    WHERE m.udid IN (SELECT value FROM json_each(?1))
  UNION ALL
  SELECT NULL, group_name, 2, anchors, declarations, assigned_at_ms
    FROM watch_enrollment_groups WHERE group_name = 'everyone'
  ORDER BY rank, group_name`;

export class D1Assignments implements AssignmentSource {
  readonly #db: Database;
  readonly #subscriptions: D1Subscriptions;

  constructor(db: Database) {
    this.#db = db;
    this.#subscriptions = new D1Subscriptions(db);
  }

  async assigned(udids: readonly Udid[]): Promise<ReadonlyMap<Udid, Assigned>> {
    const asked = JSON.stringify(udids);
    const [memberships, enrollments, properties, subscriptions] = await Promise.all([
      this.#memberships(asked),
      this.#watchEnrollments(asked),
      this.#properties(asked),
      this.#subscriptions.find(),
    ]);
    const [sets, compiled] = await Promise.all([
      this.#sets(new Set(memberships.map((row) => row.set_name))),
      this.#compiled(new Set(enrollments.flatMap((row) => row.declarations ?? []))),
    ]);
    const ofDevice = groupBy(memberships, (row) => row.udid);
    const everyone = ofDevice.get(null) ?? [];
    return new Map(
      udids.map((udid) => {
        const enrollment = enrollments.find((row) => row.udid === udid || row.udid === null);
        const assigned: Assigned = {
          memberships: [...(ofDevice.get(udid) ?? []), ...everyone].map(membership),
          sets,
          watchEnrollment:
            enrollment?.declarations === null
              ? null
              : (enrollment?.declarations ?? []).flatMap((name) => compiled.get(name) ?? []),
          properties: properties.get(udid) ?? NO_PROPERTIES,
          subscriptions,
        };
        return [udid, assigned];
      }),
    );
  }

  #memberships(asked: string): Promise<MembershipRow[]> {
    return this.#db.all<MembershipRow>(
      `SELECT udid, set_name, NULL AS group_name, 100 AS percent FROM set_devices
         WHERE udid IN (SELECT value FROM json_each(?1))
       UNION ALL
       SELECT m.udid, g.set_name, g.group_name, g.percent
         FROM group_devices m JOIN set_groups g ON g.group_name = m.group_name
         WHERE m.udid IN (SELECT value FROM json_each(?1))
       UNION ALL
       SELECT NULL, set_name, group_name, percent FROM set_groups WHERE group_name = 'everyone'`,
      asked,
    );
  }

  async #watchEnrollments(asked: string) {
    const rows = await this.#db.all<{ udid: Udid | null; declarations: string | null }>(
      WATCH_ENROLLMENTS,
      asked,
    );
    return rows.map(({ udid, declarations }) => ({
      udid,
      declarations: declarations === null ? null : (JSON.parse(declarations) as string[]),
    }));
  }

  async #properties(asked: string) {
    const rows = await this.#db.all<PropertyRow & { udid: Udid }>(
      'SELECT udid, name, properties FROM device_properties WHERE udid IN (SELECT value FROM json_each(?))',
      asked,
    );
    return new Map(rows.map((row) => [row.udid, readProperties(row)]));
  }

  async #sets(names: ReadonlySet<string>): Promise<Map<string, AssignedDeclaration[]>> {
    if (names.size === 0) return new Map();
    const rows = await this.#db.all<EntryRow & { set_name: string }>(
      `SELECT s.set_name, ${ENTRY} JOIN set_declarations s ON s.identifier = d.identifier
       WHERE s.set_name IN (SELECT value FROM json_each(?))`,
      JSON.stringify([...names]),
    );
    return new Map(
      [...groupBy(rows, (row) => row.set_name)].map(([name, list]) => [name, list.map(declaration)]),
    );
  }

  async #compiled(names: ReadonlySet<string>): Promise<Map<string, AssignedDeclaration>> {
    if (names.size === 0) return new Map();
    const rows = await this.#db.all<EntryRow>(
      `SELECT ${ENTRY} WHERE d.identifier IN (SELECT value FROM json_each(?))`,
      JSON.stringify([...names]),
    );
    return new Map(rows.map((row) => [row.identifier, declaration(row)]));
  }
}

function membership({ set_name: set, group_name: group, percent }: MembershipRow): Membership {
  return { set, group, percent };
}

export function declaration(row: EntryRow): AssignedDeclaration {
  const { identifier, kind, type, server_token: serverToken, salt, payload } = row;
  const content =
    payload === null ? { serverToken } : { payload: JSON.parse(payload), templated: true, salt };
  return { identifier, kind, type, content };
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
