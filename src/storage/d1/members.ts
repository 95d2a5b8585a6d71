/** Who is concerned by a set, a declaration or a group, in D1: the same devices that a change of it marks. */
import type { PageQuery } from '../../domain/admin/services.ts';
import type { MemberStore } from '../../domain/declaration/library-ports.ts';
import type { Udid } from '../../domain/ids.ts';
import type { Bound, Database } from './database.ts';
import { GROUP_MEMBERS, setMembers } from './due.ts';

export class D1Members implements MemberStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  ofSet(name: string, page: PageQuery): Promise<readonly Udid[]> {
    return this.#page(page, setMembers('?'), name, name, name);
  }

  ofDeclaration(identifier: string, page: PageQuery): Promise<readonly Udid[]> {
    const names = 'SELECT set_name FROM set_declarations WHERE identifier = ?';
    return this.#page(page, setMembers(names), identifier, identifier, identifier);
  }

  ofGroup(name: string, page: PageQuery): Promise<readonly Udid[]> {
    return this.#page(page, GROUP_MEMBERS, name, name);
  }

  async #page(page: PageQuery, query: string, ...bound: readonly Bound[]): Promise<readonly Udid[]> {
    const rows = await this.#db.all<{ udid: Udid }>(
      `SELECT udid FROM (${query}) WHERE udid > ? ORDER BY udid LIMIT ?`,
      ...bound,
      page.cursor ?? '',
      page.limit,
    );
    return rows.map((row) => row.udid);
  }
}
