/**
 * A whole server on this machine: the bundled Worker in workerd, with its database, key-value store and objects
 * on disk or in memory, secrets made up on first use, and simulated trust anchors. No account, no network.
 * Miniflare runs it; what Cloudflare does around a Worker (TLS, edge addresses, cron) is not imitated, except
 * that the cron handler can be called by hand.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4ModuleDefinition } from 'miniflare';
import type { AuthorityPem } from './authority.ts';
import { buildWorker, type Migration, type WorkerBuild } from './build.ts';
import { freePort } from './ports.ts';
import { generateSecrets, type LocalSecrets, loadSecrets, workerSecrets } from './secrets.ts';

export interface StackOptions {
  /** Where state and keys live; without one, both are made up and forgotten. */
  readonly stateDir?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Overrides of the Worker's variables. */
  readonly vars?: Readonly<Record<string, string>>;
  /** What the Worker prints, line by line; default: nowhere. */
  readonly onLog?: (line: string) => void;
  /** Listen on workerd itself instead of Miniflare's own front, which costs more than the Worker does. */
  readonly direct?: boolean;
  /** Allow looking into objects' storage, at some cost to them. */
  readonly inspect?: boolean;
  /** Open a port for V8's inspector, for a profile of the Worker alone. */
  readonly profile?: boolean;
  /** Source of a module that stands in front of the Worker, which it imports as `./index.js`. */
  readonly front?: string;
}

export interface Stack {
  readonly url: string;
  readonly adminKey: string;
  /** Private JWKS of the pairing tokens. */
  readonly tokenKeys: string;
  readonly ca: AuthorityPem;
  readonly deviceCa: AuthorityPem;
  readonly attestationCa: AuthorityPem;
  readonly miniflare: Miniflare;
  /** Runs the cron handler once. */
  sweep(): Promise<void>;
  stop(): Promise<void>;
}

/** A port found free may be taken before workerd binds it. */
const ATTEMPTS = 3;

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const [build, secrets] = await Promise.all([
    buildWorker(),
    options.stateDir === undefined ? generateSecrets() : loadSecrets(join(options.stateDir, 'keys')),
  ]);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return await start(build, secrets, port, options);
    } catch (error) {
      if (options.port !== undefined || attempt === ATTEMPTS) throw error;
    }
  }
}

async function start(
  build: WorkerBuild,
  secrets: LocalSecrets,
  port: number,
  options: StackOptions,
): Promise<Stack> {
  const url = `http://127.0.0.1:${port}`;
  const miniflare = new Miniflare(miniflareOptions(build, secrets, port, { ...options, url }));
  try {
    await miniflare.ready;
    const database = await miniflare.getD1Database(Object.keys(build.databases)[0] ?? 'DB', WORKER);
    await migrate(database as unknown as D1Database, build.migrations);
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
  const { adminKey, tokenKeys, ca, deviceCa, attestationCa } = secrets;
  return {
    ...{ url, adminKey, tokenKeys, ca, deviceCa, attestationCa, miniflare },
    async sweep() {
      const worker = await miniflare.getWorker(WORKER);
      await worker.scheduled({ cron: build.crons[0] ?? '* * * * *' });
    },
    stop: () => miniflare.dispose(),
  };
}

/** Its name inside Miniflare. */
export const WORKER = 'escapement';

function miniflareOptions(
  build: WorkerBuild,
  secrets: LocalSecrets,
  port: number,
  options: StackOptions & { url: string },
) {
  const log = options.onLog;
  const state = options.stateDir === undefined ? undefined : join(options.stateDir, 'state');
  if (state !== undefined) mkdirSync(state, { recursive: true, mode: 0o700 });
  return convertV4MiniflareOptions({
    host: '127.0.0.1',
    ...(options.direct ? {} : { port }),
    cf: false,
    logRequests: false,
    ...(options.profile ? { inspectorPort: 0, inspectorHost: '127.0.0.1' } : {}),
    unsafeInspectDurableObjects: options.inspect ?? false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: (entry) => log?.(entry.message),
    handleUncaughtError: (error) => log?.(error.stack ?? error.message),
    ...(state === undefined ? {} : { resourcePersistencePath: state }),
    workers: [
      {
        name: WORKER,
        modulesRoot: build.directory,
        modules: [...front(build.directory, options.front), ...modules(build.directory)],
        compatibilityDate: build.compatibilityDate,
        compatibilityFlags: [...build.compatibilityFlags],
        bindings: {
          ...build.vars,
          // Simulated trust anchors are for this machine alone; what is deployed says `production`.
          ENVIRONMENT: 'local',
          PUBLIC_URL: options.url,
          ...options.vars,
          ...workerSecrets(secrets),
        },
        d1Databases: { ...build.databases },
        kvNamespaces: { ...build.namespaces },
        r2Buckets: { ...build.buckets },
        durableObjects: Object.fromEntries(
          Object.entries(build.objects).map(([name, className]) => [name, { className, useSQLite: true }]),
        ),
        queueProducers: { ...build.queues },
        queueConsumers: { ...build.consumers },
        unsafeInspectorProxy: options.profile ?? false,
        ...(options.direct ? { unsafeDirectSockets: [{ host: '127.0.0.1', port }] } : {}),
      },
    ],
  });
}

function front(directory: string, contents: string | undefined): V4ModuleDefinition[] {
  return contents === undefined ? [] : [{ type: 'ESModule', path: join(directory, 'front.js'), contents }];
}

/** Wrangler's output: the entry point first, then whatever it left as a module of its own. */
function modules(directory: string): V4ModuleDefinition[] {
  const others = readdirSync(directory).filter((name) => /\.(sql|txt|html|bin|wasm|js|mjs)$/.test(name));
  const ordered = ['index.js', ...others.filter((name) => name !== 'index.js').sort()];
  return ordered.map((name) => {
    const path = join(directory, name);
    if (/\.m?js$/.test(name)) return { type: 'ESModule', path, contents: readFileSync(path, 'utf8') };
    if (/\.(sql|txt|html)$/.test(name)) return { type: 'Text', path, contents: readFileSync(path, 'utf8') };
    return { type: name.endsWith('.wasm') ? 'CompiledWasm' : 'Data', path, contents: readFileSync(path) };
  });
}

/** Forward only, in the table that `wrangler d1 migrations` keeps, so that either may come after the other. */
export async function migrate(database: D1Database, migrations: readonly Migration[]): Promise<void> {
  await database
    .prepare(
      'CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)',
    )
    .run();
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all<{ name: string }>();
  const applied = new Set(results.map((row) => row.name));
  for (const { name, statements } of migrations) {
    if (applied.has(name)) continue;
    const record = database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name);
    await database.batch([...statements.map((sql) => database.prepare(sql)), record]);
  }
}
