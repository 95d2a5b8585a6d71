/**
 * The schema of D1, by `wrangler d1 migrations apply`: each migration and the note that it is done are one
 * transaction. Forward only. Before a database that is in use is changed, its Time Travel bookmark is told.
 */
import { configFor, migrationNames, writeConfig } from './config.ts';
import { change, kept, type Site, type Step, Stop } from './site.ts';

const PERMISSION = 'D1: Edit';

export const migrations: Step = {
  async look(site) {
    const here = migrationNames();
    const applied = site.databaseId === null ? [] : await appliedTo(site);
    const unknown = applied.filter((name) => !here.includes(name));
    if (unknown.length > 0) {
      throw new Stop(
        `The database has migrations that this version does not: ${unknown.join(', ')}`,
        'A newer version was deployed. Deploy that or a later one; docs/operations.md, "Going back".',
      );
    }
    const due = here.filter((name) => !applied.includes(name));
    if (due.length === 0) return kept(`database schema, ${here.length} migrations`);
    const range = due.length === 1 ? due[0] : `${due[0]} to ${due.at(-1)}`;
    return change(`apply ${due.length} migrations: ${range}`, async () => {
      if (applied.length > 0) await tellBookmark(site);
      const config = writeConfig(configFor(site, false));
      await site.wrangler.run(['d1', 'migrations', 'apply', 'DB', '--remote', '--config', config]);
    });
  },
};

async function appliedTo(site: Site): Promise<readonly string[]> {
  const tables = await query(site, "SELECT name FROM sqlite_master WHERE name = 'd1_migrations'");
  if (tables.length === 0) return [];
  return await query(site, 'SELECT name FROM d1_migrations ORDER BY id');
}

async function query(site: Site, sql: string): Promise<readonly string[]> {
  const answer = await site.api.make(`d1/database/${site.databaseId}/query`, { sql }, PERMISSION);
  const [first] = answer as unknown as readonly { results?: readonly { name: string }[] }[];
  return (first?.results ?? []).map(({ name }) => name);
}

async function tellBookmark(site: Site): Promise<void> {
  const path = `d1/database/${site.databaseId}/time_travel/bookmark`;
  const { bookmark } = ((await site.api.find(path, PERMISSION)) ?? {}) as { bookmark?: string };
  if (bookmark === undefined) return;
  site.tell(`before   ${site.names.database} stood at bookmark ${bookmark}`);
}
