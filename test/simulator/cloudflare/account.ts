/** One account of the simulated Cloudflare: what is in it, and what each call of the API does to it. */
import { randomUUID, X509Certificate } from 'node:crypto';
import { FakeDatabase } from './database.ts';
import { type Binding, readUpload } from './upload.ts';

export interface Reply {
  readonly status: number;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

export interface Call {
  readonly method: string;
  /** After `/client/v4`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly type: string;
  readonly body: Uint8Array;
}

export interface FakeWorker {
  bindings: Binding[];
  secrets: Map<string, string>;
  uploads: number;
  migrationTag: string | null;
  subdomain: boolean;
  crons: string[];
}

export interface FakeQueue {
  readonly queue_id: string;
  readonly queue_name: string;
  consumers: Record<string, unknown>[];
}

const ACCOUNT_ID = 'f00dfeedf00dfeedf00dfeedf00dfeed';
const SUBDOMAIN = 'fake-account';
const ZONE = 'example.com';

const found = (result: unknown): Reply => ({ status: 200, result });
const refused = (status: number, code: number, message: string): Reply => ({
  status,
  error: { code, message },
});
const noWorker = refused(404, 10007, 'This Worker does not exist on your account.');

export class FakeAccount {
  readonly id = ACCOUNT_ID;
  readonly subdomain = SUBDOMAIN;
  readonly databases = new Map<string, { name: string; database: FakeDatabase }>();
  readonly namespaces = new Map<string, string>();
  readonly queues: FakeQueue[] = [];
  readonly buckets = new Set<string>();
  readonly workers = new Map<string, FakeWorker>();
  readonly domains = new Map<string, string>();
  readonly mtls: { id: string; name: string; certificates: string; serial_number: string }[] = [];
  hasR2 = true;

  /** Whether the call changes anything. A query that only reads does not, nor do secrets for a Worker that is not. */
  changes(call: Call): boolean {
    const [, name = ''] = /workers\/scripts\/([^/]+)\/secrets-bulk$/.exec(call.path) ?? [];
    if (name !== '') return this.workers.has(name);
    if (call.method === 'GET' || call.path.endsWith('/domains/changeset')) return false;
    if (!call.path.endsWith('/query')) return true;
    const { sql } = json(call) as { sql: string };
    return !/^\s*(?:SELECT|PRAGMA)\b/i.test(sql) && !/^\s*CREATE TABLE IF NOT EXISTS/i.test(sql);
  }

  answer(call: Call): Reply {
    if (call.path === '/accounts') return found([{ id: this.id, name: 'Fake' }]);
    if (call.path === '/memberships') return found([{ account: { id: this.id, name: 'Fake' } }]);
    if (call.path === '/zones') return this.#zones(call.query.get('name') ?? '');
    const own = `/accounts/${this.id}/`;
    if (!call.path.startsWith(own)) return refused(403, 9109, 'Unauthorized to access requested resource');
    const [area = '', ...rest] = call.path.slice(own.length).split('/');
    const answers: Record<string, () => Reply> = {
      d1: () => this.#d1(call, rest),
      storage: () => this.#kv(call),
      queues: () => this.#queues(call, rest),
      r2: () => this.#r2(call, rest),
      mtls_certificates: () => this.#mtls(call),
      workers: () => this.#workers(call, rest),
    };
    return answers[area]?.() ?? refused(404, 7003, `no route for ${call.method} ${call.path}`);
  }

  #zones(name: string): Reply {
    return found(name === ZONE ? [{ id: 'zone-of-example', name: ZONE, account: { id: this.id } }] : []);
  }

  #d1(call: Call, [, id, ...rest]: string[]): Reply {
    if (id === undefined && call.method === 'POST') {
      const { name } = json(call) as { name: string };
      if ([...this.databases.values()].some((other) => other.name === name)) {
        return refused(400, 7502, `A database with that name already exists`);
      }
      const uuid = randomUUID();
      this.databases.set(uuid, { name, database: new FakeDatabase() });
      return found({ uuid, name });
    }
    if (id === undefined) return found([...this.databases].map(([uuid, { name }]) => ({ uuid, name })));
    const database = this.databases.get(id);
    if (database === undefined) return refused(404, 7404, 'The database could not be found');
    if (rest[0] === undefined) return found({ uuid: id, name: database.name, version: 'production' });
    if (rest[0] === 'time_travel') return found({ bookmark: database.database.bookmark });
    const { sql, params } = json(call) as { sql: string; params?: (string | number | null)[] };
    return database.database.query(sql, params ?? []);
  }

  #kv(call: Call): Reply {
    if (call.method === 'GET') return found([...this.namespaces].map(([id, title]) => ({ id, title })));
    const { title } = json(call) as { title: string };
    if ([...this.namespaces.values()].includes(title)) return refused(400, 10014, 'already exists');
    const id = randomUUID().replaceAll('-', '');
    this.namespaces.set(id, title);
    return found({ id, title });
  }

  #queues(call: Call, [id, kind, consumer]: string[]): Reply {
    if (id === undefined && call.method === 'POST') {
      const { queue_name } = json(call) as { queue_name: string };
      if (this.queues.some((queue) => queue.queue_name === queue_name)) return refused(400, 11009, 'exists');
      const queue = { queue_id: randomUUID().replaceAll('-', ''), queue_name, consumers: [] };
      this.queues.push(queue);
      return found(queue);
    }
    if (id === undefined) {
      const name = call.query.get('name');
      return found(this.queues.filter((queue) => name === null || queue.queue_name === name));
    }
    const queue = this.queues.find((one) => one.queue_id === id);
    if (queue === undefined || kind !== 'consumers') return refused(404, 11000, 'no such queue');
    if (call.method === 'GET') return found(queue.consumers);
    const { script_name, ...said } = json(call);
    const kept = { ...said, script: script_name, consumer_id: consumer ?? randomUUID() };
    queue.consumers = [...queue.consumers.filter((one) => one['consumer_id'] !== consumer), kept];
    return found(kept);
  }

  #r2(call: Call, [, name]: string[]): Reply {
    if (!this.hasR2) return refused(403, 10042, 'Please enable R2 through the Cloudflare Dashboard.');
    if (call.method === 'GET') {
      return this.buckets.has(name ?? '') ? found({ name }) : refused(404, 10006, 'no such bucket');
    }
    const wanted = (json(call) as { name: string }).name;
    if (this.buckets.has(wanted)) return refused(409, 10004, 'already exists');
    this.buckets.add(wanted);
    return found({ name: wanted });
  }

  #mtls(call: Call): Reply {
    if (call.method === 'GET') return found(this.mtls);
    const { name, certificates } = json(call) as { name: string; certificates: string };
    const serial_number = BigInt(`0x${new X509Certificate(certificates).serialNumber}`).toString();
    const kept = { id: randomUUID(), name, certificates, serial_number };
    this.mtls.push(kept);
    return found(kept);
  }

  #workers(call: Call, [kind, name = '', ...rest]: string[]): Reply {
    if (kind === 'subdomain') return found({ subdomain: SUBDOMAIN });
    if (kind === 'domains')
      return found([...this.domains].map(([hostname, service]) => ({ hostname, service })));
    const worker = this.workers.get(name);
    if (kind === 'workers') {
      return worker === undefined ? noWorker : found({ id: name, name, subdomain: subdomainOf(worker) });
    }
    if (kind === 'services') {
      return worker === undefined
        ? refused(404, 10090, 'This service does not exist')
        : found({ default_environment: { script: { last_deployed_from: 'wrangler', tag: 'x' } } });
    }
    if (kind !== 'scripts') return refused(404, 7003, `no route for ${call.path}`);
    if (name === '') {
      return found(
        [...this.workers].map(([id, one]) => ({ id, migration_tag: one.migrationTag ?? undefined })),
      );
    }
    if (call.method === 'PUT' && rest.length === 0) return this.#upload(call, name, worker);
    if (worker === undefined) return noWorker;
    return this.#worker(call, name, worker, rest.join('/'));
  }

  #worker(call: Call, name: string, worker: FakeWorker, part: string): Reply {
    const changes = call.method !== 'GET';
    switch (part) {
      case 'settings':
        return found({ bindings: shown(worker), migration_tag: worker.migrationTag, compatibility_date: '' });
      case 'secrets':
        return found([...worker.secrets.keys()].map((secret) => ({ name: secret, type: 'secret_text' })));
      case 'secrets-bulk': {
        const { secrets } = json(call) as { secrets: Record<string, { text: string } | null> };
        for (const [key, value] of Object.entries(secrets)) {
          if (value === null) worker.secrets.delete(key);
          else worker.secrets.set(key, value.text);
        }
        return found({});
      }
      case 'deployments':
        return found({ deployments: [deployment(worker)] });
      case 'schedules':
        if (changes) worker.crons = (json(call) as unknown as { cron: string }[]).map(({ cron }) => cron);
        return found({ schedules: worker.crons.map((cron) => ({ cron })) });
      case 'subdomain':
        if (changes) worker.subdomain = (json(call) as { enabled: boolean }).enabled;
        return found(subdomainOf(worker));
      case 'domains/changeset':
        return found({ added: [], removed: [], updated: [], conflicting: [] });
      case 'domains/records':
        for (const { hostname } of (json(call) as unknown as { origins: { hostname: string }[] }).origins) {
          this.domains.set(hostname, name);
        }
        return found([]);
      default:
        return refused(404, 7003, `no route for ${call.method} ${call.path}`);
    }
  }

  #upload(call: Call, name: string, before: FakeWorker | undefined): Reply {
    const { bindings, migrations } = readUpload(call);
    const secrets = before?.secrets ?? new Map<string, string>();
    const earlier = before?.bindings ?? [];
    const had = (own: string) => earlier.find((binding) => binding.name === own);
    const inherited = bindings.filter(({ type }) => type === 'inherit');
    const lacking = inherited.filter(({ name: own }) => !secrets.has(own) && had(own) === undefined);
    if (lacking.length > 0) {
      return {
        ...refused(400, 10057, lacking.map((one) => `inherit binding '${one.name}' is invalid`).join()),
      };
    }
    const tag = before?.migrationTag ?? null;
    if (migrations !== null && migrations.old_tag !== undefined && migrations.old_tag !== tag) {
      return refused(412, 10079, 'migration tag precondition failed');
    }
    this.workers.set(name, {
      subdomain: before?.subdomain ?? false,
      crons: before?.crons ?? [],
      secrets,
      bindings: bindings.flatMap((binding) =>
        binding.type === 'inherit' ? (had(binding.name) ?? []) : [binding],
      ),
      uploads: (before?.uploads ?? 0) + 1,
      migrationTag: migrations?.new_tag ?? tag,
    });
    return found({
      id: name,
      etag: 'x',
      startup_time_ms: 4,
      deployment_id: randomUUID(),
      entry_point: 'index.js',
    });
  }
}

function subdomainOf({ subdomain }: FakeWorker): object {
  return { enabled: subdomain, previews_enabled: false };
}

function shown(worker: FakeWorker): Binding[] {
  const secrets = [...worker.secrets.keys()].map((name) => ({ type: 'secret_text', name }));
  return [...worker.bindings, ...secrets];
}

/** Only the one that is in force: all of the traffic has the last upload. */
function deployment(worker: FakeWorker): object {
  const versions = [{ version_id: `version-${worker.uploads}`, percentage: 100 }];
  return { id: `deployment-${worker.uploads}`, source: 'wrangler', strategy: 'percentage', versions };
}

function json(call: Call): Record<string, unknown> {
  return JSON.parse(Buffer.from(call.body).toString('utf8') || '{}');
}
