/**
 * The floor of a poll: a Worker that does nothing but call one method of one object, which does nothing. And what
 * storage costs on this machine, where D1 is a stand-in that runs as JavaScript in the same process: a new object
 * with ten tables, and one statement. And the floor of a change for many devices: two empty calls to each of as many
 * objects, sixteen at a time.
 */
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { freePort } from '../local/ports.ts';
import { cpuMs, withItsWorkerd } from './process.ts';

const SOURCE = `
import { DurableObject } from 'cloudflare:workers';
export class Floor extends DurableObject {
  poll(nowMs) { return null; }
}
export class Tables extends DurableObject {
  poll() {
    this.ctx.storage.transactionSync(() => {
      for (let i = 0; i < 10; i++) this.ctx.storage.sql.exec('CREATE TABLE t' + i + ' (a TEXT PRIMARY KEY) STRICT');
    });
  }
}
async function calls(objects, namespace) {
  const run = crypto.randomUUID();
  let next = 0;
  const lane = async () => {
    while (next < objects) {
      const name = run + next++;
      await namespace.getByName(name).poll(0);
      await namespace.getByName(name).poll(0);
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/object') await env.TABLES.getByName(crypto.randomUUID()).poll();
    else if (pathname === '/statement') await env.DB.prepare('SELECT 1').all();
    else if (pathname === '/calls') await calls(Number(searchParams.get('objects')), env.FLOOR);
    else await env.FLOOR.getByName(request.headers.get('x-object') ?? '').poll(Date.now());
    return new Response(null, { status: 200 });
  },
};`;

export interface Floor {
  readonly port: number;
  stop(): Promise<void>;
}

/** Milliseconds of CPU for one. */
export interface StorageFigures {
  readonly newObjectMs: number;
  readonly statementMs: number;
}

const REPEATS = 100;

export async function benchStorage(compatibilityDate: string): Promise<StorageFigures | null> {
  const { value: floor, pid } = await withItsWorkerd(() => startFloor(compatibilityDate));
  const spend = async (path: string, times: number) => {
    for (let i = 0; i < times; i++) {
      const response = await fetch(`http://127.0.0.1:${floor.port}${path}`);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      await response.arrayBuffer();
    }
  };
  const each = async (path: string, of: number) => {
    await spend(path, REPEATS / 10);
    const before = cpuMs(of);
    await spend(path, REPEATS);
    return (cpuMs(of) - before) / REPEATS;
  };
  try {
    if (pid === null) return null;
    return { newObjectMs: await each('/object', pid), statementMs: await each('/statement', pid) };
  } finally {
    await floor.stop();
  }
}

/** State is on disk, or in this folder. */
export async function startFloor(compatibilityDate: string, stateDir?: string): Promise<Floor> {
  const port = await freePort();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      telemetry: { enabled: false },
      log: new Log(LogLevel.NONE),
      ...(stateDir === undefined ? {} : { resourcePersistencePath: stateDir }),
      workers: [
        {
          name: 'floor',
          modules: [{ type: 'ESModule', path: 'index.js', contents: SOURCE }],
          compatibilityDate,
          d1Databases: { DB: 'floor' },
          durableObjects: {
            FLOOR: { className: 'Floor', useSQLite: true },
            TABLES: { className: 'Tables', useSQLite: true },
          },
          unsafeDirectSockets: [{ host: '127.0.0.1', port }],
        },
      ],
    }),
  );
  await miniflare.ready;
  return { port, stop: () => miniflare.dispose() };
}
