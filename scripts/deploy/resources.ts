/**
 * Database, key-value store, queues and bucket: found by name, made when missing, never emptied and never removed.
 * A run that ended after one was made finds it, so that an interruption leaves nothing to clean up.
 */
import { ApiRefusal, R2_NOT_ENABLED } from './api.ts';
import { change, type Finding, kept, type Site, type Step, Stop } from './site.ts';

const PERMISSION = {
  database: 'D1: Edit',
  namespace: 'Workers KV Storage: Edit',
  queue: 'Queues: Edit',
  bucket: 'Workers R2 Storage: Edit',
} as const;

export const database: Step = {
  async look(site) {
    const { name, path } = { name: site.names.database, path: 'd1/database' };
    const all = await site.api.list(`${path}?name=${name}`, PERMISSION.database);
    site.databaseId = theOnly(all, 'name', name, 'D1 database')?.['uuid'] ?? null;
    if (site.databaseId !== null) return kept(`D1 database ${name}`);
    return change(`create D1 database ${name}`, async () => {
      const made = await site.api.make(path, { name }, PERMISSION.database);
      site.databaseId = String(made['uuid']);
    });
  },
};

export const namespace: Step = {
  async look(site) {
    const { name, path } = { name: site.names.namespace, path: 'storage/kv/namespaces' };
    const all = await site.api.list(path, PERMISSION.namespace);
    site.namespaceId = theOnly(all, 'title', name, 'KV namespace')?.['id'] ?? null;
    if (site.namespaceId !== null) return kept(`KV namespace ${name}`);
    return change(`create KV namespace ${name}`, async () => {
      const made = await site.api.make(path, { title: name }, PERMISSION.namespace);
      site.namespaceId = String(made['id']);
    });
  },
};

/** One step a queue. The dead-letter queue keeps what could not be delivered, to be looked at. */
export function queue(name: string): Step {
  return {
    async look(site) {
      const all = await site.api.list(`queues?name=${name}`, PERMISSION.queue);
      if (theOnly(all, 'queue_name', name, 'queue') !== undefined) return kept(`queue ${name}`);
      return change(`create queue ${name}`, async () => {
        await site.api.make('queues', { queue_name: name }, PERMISSION.queue);
      });
    },
  };
}

export const bucket: Step = {
  async look(site): Promise<Finding> {
    const name = site.names.bucket;
    if (!wantsPackages(site)) return kept('no bucket for packages of apps');
    try {
      const there = await site.api.find(`r2/buckets/${name}`, PERMISSION.bucket);
      if (there !== null) return kept(`R2 bucket ${name}`);
    } catch (error) {
      if (!(error instanceof ApiRefusal) || error.code !== R2_NOT_ENABLED) throw error;
      throw new Stop(
        'R2 is not switched on in this account',
        'Switch it on under R2 in the dashboard, or say --packages no: only packages of apps need it.',
      );
    }
    return change(`create R2 bucket ${name}`, async () => {
      await site.api.make('r2/buckets', { name }, PERMISSION.bucket);
    });
  },
};

/** As told, else as deployed, else with. */
export function wantsPackages({ choices, worker }: Site): boolean {
  return choices.packages ?? (worker.deployed ? worker.hasPackages : true);
}

/** The list may be of names that only begin alike; two of one name leave it open which has the data. */
function theOnly(
  all: readonly Record<string, unknown>[],
  field: string,
  name: string,
  what: string,
): Record<string, string> | undefined {
  const matching = all.filter((one) => one[field] === name);
  if (matching.length > 1) {
    throw new Stop(
      `The account has ${matching.length} of the ${what} ${name}`,
      'Rename or remove the others.',
    );
  }
  return matching[0] as Record<string, string> | undefined;
}
