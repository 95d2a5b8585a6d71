/**
 * The configuration that is deployed: `wrangler.toml`, with what this account and these choices put in its place. It
 * is written below `.escapement`, holds identifiers and variables and no secret, and is made anew by every run.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { experimental_readRawConfig, type Unstable_RawConfig } from 'wrangler';
import { localFolder, projectRoot } from '../local/build.ts';
import type { Names, Site } from './site.ts';
import { BUILD_VARIABLE, MTLS_BINDING } from './worker-state.ts';

const base: Unstable_RawConfig = experimental_readRawConfig({
  config: join(projectRoot, 'wrangler.toml'),
}).rawConfig;

export const BASE_VARS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(base.vars ?? {}).map(([name, value]) => [name, String(value)]),
);
export const REQUIRED_SECRETS: readonly string[] = base.secrets?.required ?? [];
export const CRONS: readonly string[] = base.triggers?.crons ?? [];
export const MIGRATIONS_FOLDER = join(projectRoot, base.d1_databases?.[0]?.migrations_dir ?? 'migrations');

export const deployFolder = join(localFolder, 'deploy');

/** `escapement-fanout` of `wrangler.toml` is `lab-fanout` for a Worker named `lab`. */
function nameFor(worker: string, name: string): string {
  const own = base.name ?? '';
  return name.startsWith(own) ? worker + name.slice(own.length) : `${worker}-${name}`;
}

export function namesFrom(worker: string): Names {
  const { producers = [], consumers = [] } = base.queues ?? {};
  const queues = [...producers, ...consumers].flatMap(({ queue }) => queue ?? []);
  const dead = consumers.flatMap(({ dead_letter_queue }) => dead_letter_queue ?? []);
  return {
    worker,
    database: nameFor(worker, base.d1_databases?.[0]?.database_name ?? ''),
    namespace: `${worker}-${(base.kv_namespaces?.[0]?.binding ?? '').toLowerCase()}`,
    bucket: nameFor(worker, base.r2_buckets?.[0]?.bucket_name ?? ''),
    pushCertificate: `${worker}-push`,
    queues: [...new Set([...queues, ...dead])].map((name) => nameFor(worker, name)),
  };
}

/** Which queue sends what it could not deliver where; every consumer is this Worker. */
export function consumersFor(worker: string) {
  return (base.queues?.consumers ?? []).map((one) => ({
    ...one,
    queue: nameFor(worker, one.queue),
    ...(one.dead_letter_queue === undefined
      ? {}
      : { dead_letter_queue: nameFor(worker, one.dead_letter_queue) }),
  }));
}

export function isWorkersDev(publicUrl: string): boolean {
  return new URL(publicUrl).hostname.endsWith('.workers.dev');
}

/** Other environments of `wrangler.toml`, if it has any, are not deployed. */
export function configFor(
  site: Pick<Site, 'names' | 'vars' | 'databaseId' | 'namespaceId' | 'mtlsCertificateId'>,
  packages: boolean,
): Unstable_RawConfig {
  const { names, vars } = site;
  const publicUrl = vars['PUBLIC_URL'] ?? '';
  const own = isWorkersDev(publicUrl);
  const { env: _, ...shared } = base;
  return {
    ...shared,
    name: names.worker,
    main: fromFolder(join(projectRoot, base.main ?? 'src/index.ts')),
    workers_dev: own,
    preview_urls: false,
    ...(own ? {} : { routes: [{ pattern: new URL(publicUrl).hostname, custom_domain: true }] }),
    vars: { ...vars },
    d1_databases: (base.d1_databases ?? []).map((database) => ({
      ...database,
      database_name: names.database,
      database_id: site.databaseId ?? '',
      migrations_dir: fromFolder(MIGRATIONS_FOLDER),
    })),
    kv_namespaces: (base.kv_namespaces ?? []).map((one) => ({ ...one, id: site.namespaceId ?? '' })),
    r2_buckets: packages ? (base.r2_buckets ?? []).map((one) => ({ ...one, bucket_name: names.bucket })) : [],
    queues: {
      producers: (base.queues?.producers ?? []).map((one) => ({
        ...one,
        queue: nameFor(names.worker, one.queue ?? ''),
      })),
      consumers: consumersFor(names.worker),
    },
    ...(site.mtlsCertificateId === null
      ? {}
      : { mtls_certificates: [{ binding: MTLS_BINDING, certificate_id: site.mtlsCertificateId }] }),
  };
}

/** With the digest of everything that goes in, by which a later run knows what is deployed. */
export function stamped(config: Unstable_RawConfig): Unstable_RawConfig {
  return { ...config, vars: { ...config.vars, [BUILD_VARIABLE]: buildDigest(config) } };
}

export function writeConfig(config: Unstable_RawConfig): string {
  mkdirSync(deployFolder, { recursive: true, mode: 0o700 });
  const path = join(deployFolder, `wrangler-${config.name}.json`);
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return path;
}

export function migrationNames(): readonly string[] {
  return readdirSync(MIGRATIONS_FOLDER)
    .filter((name) => name.endsWith('.sql'))
    .sort();
}

/** Equal on every machine for equal sources, dependencies and configuration. */
function buildDigest(config: Unstable_RawConfig): string {
  const hash = createHash('sha256').update(JSON.stringify(config));
  const sources = readdirSync(join(projectRoot, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const path of [...sources, join(projectRoot, 'package-lock.json')]) {
    const name = relative(projectRoot, path).replaceAll('\\', '/');
    hash.update(name).update('\0').update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex').slice(0, 32);
}

/** Wrangler reads paths from where the file is. */
function fromFolder(path: string): string {
  return relative(deployFolder, path).replaceAll('\\', '/');
}
