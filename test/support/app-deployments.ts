/** Deployments with the real store behind them, and a queue, devices and faults that a test directs. */
import { env } from 'cloudflare:workers';
import type { NewCommand } from '../../src/domain/admin/command-services.ts';
import type { App, AppKind } from '../../src/domain/app/app.ts';
import { type Action, newMachine } from '../../src/domain/app/machine.ts';
import type { Deployment, DeploymentDevices, NewDeployment } from '../../src/domain/app/ports.ts';
import { DeploymentRunner } from '../../src/domain/app/runner.ts';
import type { Udid } from '../../src/domain/ids.ts';
import { randomUuid } from '../../src/pki/random.ts';
import { ok, Unavailable } from '../../src/std/outcome.ts';
import { type EpochMs, epochMs } from '../../src/std/time.ts';
import { D1AppDeployments } from '../../src/storage/d1/app-deployments.ts';
import { D1Apps } from '../../src/storage/d1/apps.ts';
import { Database } from '../../src/storage/d1/database.ts';

export const NOW = epochMs(1_700_000_000_000);
export const database = new Database(env.DB);
export const apps = new D1Apps(database);
export const store = new D1AppDeployments(database);

export const APP = 'com.example.watchkitapp';
export const PHONE_APP = 'com.example.app';
export const PHONE = 'PHONE-0001' as Udid;
export const WATCH = 'WATCH-0001' as Udid;
export const OTHER = 'WATCH-0002' as Udid;

export async function clean(): Promise<void> {
  for (const table of ['app_deployments', 'apps', 'app_packages', 'devices'])
    await env.DB.exec(`DELETE FROM ${table}`);
}

export function anApp(over: Partial<App> = {}): App {
  return {
    ...{ watchBundleId: APP, name: 'An app', kind: 'paired', install: {}, configured: [], package: null },
    source: { kind: 'app-store', iTunesStoreId: 1 },
    phone: { bundleId: PHONE_APP, source: null, install: null },
    ...{ version: 'V1', updatedAtMs: NOW },
    ...over,
  };
}

/** In the index. */
export async function device(udid: Udid, phone: Udid | null = null, state = 'enrolled'): Promise<void> {
  await env.DB.prepare(
    `INSERT OR REPLACE INTO devices (udid, serial, platform, state, phone_udid, enrolled_at_ms, last_seen_ms, revision)
     VALUES (?, 'SERIAL', ?, ?, ?, 1, 1, 1)`,
  )
    .bind(udid, phone === null ? 'iOS' : 'watchOS', state, phone)
    .run();
}

export function aDeployment(over: Partial<NewDeployment> & { action?: Action } = {}): NewDeployment {
  const { action = 'install', ...rest } = over;
  const kind: AppKind = rest.kind ?? 'paired';
  return {
    deploymentId: randomUuid(),
    ...{ app: APP, kind, watch: WATCH, phone: PHONE, phoneBundleId: PHONE_APP },
    machine: newMachine(action, kind, NOW),
    ...rest,
  };
}

export async function created(over: Parameters<typeof aDeployment>[0] = {}): Promise<Deployment> {
  const one = aDeployment(over);
  await store.create([one], NOW);
  return read(one.deploymentId);
}

export async function read(id: string): Promise<Deployment> {
  const found = await store.find(id);
  if (found === null) throw new Error(`no deployment ${id}`);
  return found;
}

export interface Queued extends Pick<NewCommand, 'udid' | 'requestType'> {
  readonly uuid: string;
  state: 'pending' | 'acknowledged' | 'canceled';
}

/** Takes a CommandUUID once, as the real one does. */
export class TestQueue {
  readonly commands: Queued[] = [];
  /** Whether devices report the app as managed since it was installed. */
  managed = new Set<Udid>();
  /** While a command is on its way into the queue. */
  meanwhile: () => Promise<void> = async () => undefined;
  enrolled: (udid: Udid, sinceMs: EpochMs) => boolean = () => true;

  find(uuid: string): Queued | undefined {
    return this.commands.find((one) => one.uuid === uuid);
  }

  /** Every device does what it was told. */
  answer(): void {
    for (const one of this.commands) {
      if (one.state !== 'pending') continue;
      one.state = 'acknowledged';
      if (one.requestType === 'InstallApplication') this.managed.add(one.udid);
      if (one.requestType === 'RemoveApplication') this.managed.delete(one.udid);
    }
  }

  get devices(): DeploymentDevices {
    return {
      isEnrolled: async (udid, sinceMs) => this.enrolled(udid, sinceMs),
      reported: async (udid) => ({
        state: this.managed.has(udid) ? 'managed' : null,
        sinceMs: epochMs(NOW + 1e9),
      }),
      withdraw: async (_udid, uuid) => {
        const found = this.find(uuid);
        if (found?.state === 'pending') found.state = 'canceled';
      },
    };
  }
}

/** Fails at the nth call that passes here: instead of it, or after it was done. */
export class Faults {
  calls = 0;
  readonly #at: number;
  readonly #after: boolean;

  constructor(at = 0, after = false) {
    this.#at = at;
    this.#after = after;
  }

  around<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        const member: unknown = Reflect.get(object, name, object);
        if (typeof member !== 'function') return member;
        return async (...args: unknown[]) => {
          this.calls += 1;
          const hit = this.calls === this.#at;
          if (hit && !this.#after) throw new Unavailable('stopped', 'instead of the call');
          const result: unknown = await member.apply(object, args);
          if (hit) throw new Unavailable('stopped', 'after the call');
          return result;
        };
      },
    });
  }
}

export function testRunner(queue: TestQueue, faults = new Faults()): DeploymentRunner {
  const contents = {
    make: async (_deployment: Deployment, order: { kind: string }) => {
      const types: Record<string, string> = { install: 'InstallApplication', remove: 'RemoveApplication' };
      return ok({ RequestType: types[order.kind] ?? 'ManagedApplicationList' });
    },
  };
  const commands = {
    enqueue: async ({ udid, commandUuid, requestType, expiresAtMs }: NewCommand, nowMs: EpochMs) => {
      await queue.meanwhile();
      const fresh = queue.find(commandUuid) === undefined;
      if (fresh) queue.commands.push({ udid, requestType, uuid: commandUuid, state: 'pending' });
      const times = { createdAtMs: nowMs, expiresAtMs, answeredAtMs: null };
      const command = { commandUuid, udid, requestType, state: 'pending', status: null, ...times } as const;
      return ok({ command, created: fresh });
    },
  };
  const results = {
    find: async (_udid: Udid, uuid: string) => {
      const found = queue.find(uuid);
      return found === undefined ? null : { state: found.state, result: null, answeredAtMs: NOW };
    },
  };
  const found = faults.around(results);
  return new DeploymentRunner({
    store: faults.around(store),
    contents: faults.around(contents),
    commands: faults.around(commands),
    results: (udid, uuid) => found.find(udid, uuid),
    devices: faults.around(queue.devices),
  });
}
