/** Who is concerned by a set, a declaration or a group, in D1: the same devices that a change of it marks. */
import type { PageQuery } from '../../domain/admin/services.ts';
import type { MemberStore } from '../../domain/declaration/library-ports.ts';
import type { Udid } from '../../domain/ids.ts';
import type { Database } from './database.ts';
import { groupMembers, setMembers } from './due.ts';

export class D1Members implements MemberStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  ofSet(name: string, page: PageQuery): Promise<readonly Udid[]> {
    return this.#page(page, setMembers('?', 'after'), [name, name, name]);
  }

  ofDeclaration(identifier: string, page: PageQuery): Promise<readonly Udid[]> {
    const names = 'SELECT set_name FROM set_declarations WHERE identifier = ?';
    return this.#page(page, setMembers(names, 'after'), [identifier, identifier, identifier]);
  }

  ofGroup(name: string, page: PageQuery): Promise<readonly Udid[]> {
    return this.#page(page, groupMembers('after'), [name, name]);
  }

  /** Each part of the query binds one of these and the cursor, so that no page reads what came before it. */
  async #page(page: PageQuery, query: string, bound: readonly string[]): Promise<readonly Udid[]> {
    const rows = await this.#db.all<{ udid: Udid }>(
      `${query} ORDER BY udid LIMIT ?`,
      ...bound.flatMap((value) => [value, page.cursor ?? '']),
      page.limit,
    );
    return rows.map((row) => row.udid);
  }
}
