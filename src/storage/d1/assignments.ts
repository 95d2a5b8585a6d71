/** What is assigned to devices, for their manifests: four queries however many devices, and no payload read. */
import type {
  Assigned,
  AssignedDeclaration,
  AssignmentSource,
} from '../../domain/declaration/library-ports.ts';
import type { DeclarationKind } from '../../domain/declaration/manifest.ts';
import type { Udid } from '../../domain/ids.ts';
import type { Database } from './database.ts';

interface EntryRow {
  identifier: string;
  kind: DeclarationKind;
  type: string;
  server_token: string;
}

const ENTRY = 'd.identifier, d.kind, d.type, d.server_token FROM declarations d';

export class D1Assignments implements AssignmentSource {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async assigned(udids: readonly Udid[]): Promise<ReadonlyMap<Udid, Assigned>> {
    const asked = JSON.stringify(udids);
    const [memberships, enrollments] = await Promise.all([
      this.#db.all<{ udid: Udid; set_name: string }>(
        `SELECT udid, set_name FROM set_devices WHERE udid IN (SELECT value FROM json_each(?))
         ORDER BY udid, set_name`,
        asked,
      ),
      this.#db.all<{ phone_udid: Udid; declarations: string | null }>(
        `SELECT phone_udid, declarations FROM watch_enrollments
         WHERE phone_udid IN (SELECT value FROM json_each(?))`,
        asked,
      ),
    ]);
    const named = new Map(
      enrollments.map((row) => [
        row.phone_udid,
        row.declarations === null ? null : identifiers(row.declarations),
      ]),
    );
    const [sets, compiled] = await Promise.all([
      this.#sets(new Set(memberships.map((row) => row.set_name))),
      this.#compiled(new Set([...named.values()].flatMap((list) => list ?? []))),
    ]);
    return new Map(
      udids.map((udid) => {
        const own = memberships.filter((row) => row.udid === udid).map((row) => row.set_name);
        const list = named.get(udid);
        const watchEnrollment =
          list === null
            ? ('unrecorded' as const)
            : (list ?? []).flatMap((identifier) => compiled.get(identifier) ?? []);
        return [udid, { sets: new Map(own.map((name) => [name, sets.get(name) ?? []])), watchEnrollment }];
      }),
    );
  }

  async #sets(names: ReadonlySet<string>): Promise<Map<string, AssignedDeclaration[]>> {
    const sets = new Map<string, AssignedDeclaration[]>();
    if (names.size === 0) return sets;
    const rows = await this.#db.all<EntryRow & { set_name: string }>(
      `SELECT s.set_name, ${ENTRY} JOIN set_declarations s ON s.identifier = d.identifier
       WHERE s.set_name IN (SELECT value FROM json_each(?))`,
      JSON.stringify([...names]),
    );
    for (const row of rows) sets.set(row.set_name, [...(sets.get(row.set_name) ?? []), entry(row)]);
    return sets;
  }

  async #compiled(names: ReadonlySet<string>): Promise<Map<string, AssignedDeclaration>> {
    if (names.size === 0) return new Map();
    const rows = await this.#db.all<EntryRow>(
      `SELECT ${ENTRY} WHERE d.identifier IN (SELECT value FROM json_each(?))`,
      JSON.stringify([...names]),
    );
    return new Map(rows.map((row) => [row.identifier, entry(row)]));
  }
}

function identifiers(json: string): readonly string[] {
  return JSON.parse(json) as string[];
}

function entry({ identifier, kind, type, server_token: serverToken }: EntryRow): AssignedDeclaration {
  return { identifier, kind, type, serverToken };
}
