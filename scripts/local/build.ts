/**
 * The Worker as `wrangler deploy` would upload it, plus what `wrangler.toml` says of its bindings. Wrangler takes
 * a second or two to load, so the result is kept under a digest of everything that went in.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const projectRoot = join(import.meta.dirname, '../..');
/** All that local runs leave behind is in this one ignored folder. Tests of these scripts name another. */
export const localFolder = process.env['ESCAPEMENT_FOLDER'] ?? join(projectRoot, '.escapement');

export interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
}

export interface QueueConsumer {
  readonly maxBatchSize?: number;
  readonly maxBatchTimeout?: number;
  readonly maxRetries?: number;
  readonly deadLetterQueue?: string;
}

export interface WorkerBuild {
  readonly directory: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly vars: Readonly<Record<string, string>>;
  /** Binding to identifier. */
  readonly databases: Readonly<Record<string, string>>;
  readonly namespaces: Readonly<Record<string, string>>;
  /** Binding to name. */
  readonly buckets: Readonly<Record<string, string>>;
  /** Binding to class. */
  readonly objects: Readonly<Record<string, string>>;
  /** Binding to queue. */
  readonly queues: Readonly<Record<string, string>>;
  /** Queue to how this Worker takes from it. */
  readonly consumers: Readonly<Record<string, QueueConsumer>>;
  readonly crons: readonly string[];
  readonly migrations: readonly Migration[];
}

export async function buildWorker(): Promise<WorkerBuild> {
  const builds = join(localFolder, 'build');
  const directory = join(builds, inputDigest());
  if (!existsSync(join(directory, 'worker.json'))) {
    prune(builds);
    const scratch = `${directory}.${process.pid}`;
    const [described] = await Promise.all([describe(), bundle(scratch)]);
    writeFileSync(join(scratch, 'worker.json'), JSON.stringify(described, null, 1));
    rmSync(directory, { recursive: true, force: true });
    renameSync(scratch, directory);
  }
  return { ...JSON.parse(readFileSync(join(directory, 'worker.json'), 'utf8')), directory };
}

export function wranglerEnvironment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_WRITE_LOGS: 'false',
    CI: '1',
  } as unknown as NodeJS.ProcessEnv;
}

export const wranglerCommand = join(projectRoot, 'node_modules/wrangler/bin/wrangler.js');

async function bundle(outdir: string): Promise<void> {
  mkdirSync(outdir, { recursive: true });
  const args = [wranglerCommand, 'deploy', '--dry-run', '--minify', '--outdir', outdir];
  try {
    await promisify(execFile)(process.execPath, args, { cwd: projectRoot, env: wranglerEnvironment() });
  } catch (error) {
    rmSync(outdir, { recursive: true, force: true });
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`the Worker does not build:\n${stderr ?? ''}${stdout ?? ''}`, { cause: error });
  }
}

/** The part of Wrangler's normalized configuration that is read here. */
interface WranglerConfig {
  compatibility_date?: string | undefined;
  compatibility_flags: string[];
  vars: Record<string, unknown>;
  d1_databases: { binding: string; database_id?: string; migrations_dir?: string }[];
  kv_namespaces: { binding: string; id?: string }[];
  r2_buckets: { binding: string; bucket_name?: string }[];
  durable_objects: { bindings: { name: string; class_name: string }[] };
  queues: {
    producers?: { binding: string; queue: string }[] | undefined;
    consumers?:
      | {
          queue: string;
          max_batch_size?: number;
          max_batch_timeout?: number;
          max_retries?: number;
          dead_letter_queue?: string;
        }[]
      | undefined;
  };
  triggers: { crons: string[] | undefined };
}

async function describe(): Promise<Omit<WorkerBuild, 'directory'>> {
  const { unstable_readConfig, unstable_splitSqlQuery } = await import('wrangler');
  const config: WranglerConfig = unstable_readConfig({ config: join(projectRoot, 'wrangler.toml') });
  const folder = join(projectRoot, config.d1_databases[0]?.migrations_dir ?? 'migrations');
  return {
    compatibilityDate: config.compatibility_date ?? '',
    compatibilityFlags: config.compatibility_flags,
    vars: Object.fromEntries(Object.entries(config.vars).map(([name, value]) => [name, String(value)])),
    databases: Object.fromEntries(config.d1_databases.map((d) => [d.binding, d.database_id ?? d.binding])),
    namespaces: Object.fromEntries(config.kv_namespaces.map((n) => [n.binding, n.id ?? n.binding])),
    buckets: Object.fromEntries(config.r2_buckets.map((b) => [b.binding, b.bucket_name ?? b.binding])),
    objects: Object.fromEntries(config.durable_objects.bindings.map((o) => [o.name, o.class_name])),
    queues: Object.fromEntries((config.queues.producers ?? []).map((q) => [q.binding, q.queue])),
    consumers: Object.fromEntries(
      (config.queues.consumers ?? []).map((q) => [
        q.queue,
        {
          ...(q.max_batch_size === undefined ? {} : { maxBatchSize: q.max_batch_size }),
          ...(q.max_batch_timeout === undefined ? {} : { maxBatchTimeout: q.max_batch_timeout }),
          ...(q.max_retries === undefined ? {} : { maxRetries: q.max_retries }),
          ...(q.dead_letter_queue === undefined ? {} : { deadLetterQueue: q.dead_letter_queue }),
        },
      ]),
    ),
    crons: config.triggers.crons ?? [],
    migrations: readdirSync(folder)
      .filter((name) => name.endsWith('.sql'))
      .sort()
      .map((name) => ({
        name,
        statements: unstable_splitSqlQuery(readFileSync(join(folder, name), 'utf8')),
      })),
  };
}

function inputDigest(): string {
  const hash = createHash('sha256');
  const sources = readdirSync(join(projectRoot, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const path of [
    ...sources,
    // What is read of the configuration is kept with the build.
    ...['wrangler.toml', 'package-lock.json', 'scripts/local/build.ts'].map((n) => join(projectRoot, n)),
  ]) {
    hash.update(path).update('\0').update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

const KEEP_MS = 10 * 60 * 1000;

/** Earlier builds go, except those that another run may just be starting from. */
function prune(builds: string): void {
  mkdirSync(builds, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(builds)) {
    const path = join(builds, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > KEEP_MS) rmSync(path, { recursive: true, force: true });
  }
}
