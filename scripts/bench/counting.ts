/**
 * A module in front of the Worker that counts what it and its objects ask of the database and of devices' objects;
 * locally they share one isolate. `GET /counts` tells.
 */
import type { Stack } from '../local/stack.ts';

export interface StorageUse {
  readonly statements: number;
  /** Calls to the database: a batch is one. */
  readonly calls: number;
  /** Calls to devices' objects. */
  readonly objects: number;
}

export async function readCounts(stack: Stack): Promise<StorageUse> {
  return (await (await fetch(`${stack.url}/counts`)).json()) as StorageUse;
}

/** `methods` are added to the device's class; `routes` are statements that may answer `pathname` first. */
export function countingFront({ methods, routes } = { methods: '', routes: '' }): string {
  return `
import worker, { DeviceObject, PairingObject, IssuanceObject as Issuance } from './index.js';
const count = { statements: 0, calls: 0, objects: 0 };
const note = (statements) => { count.statements += statements; count.calls++; };
const wrap = (inner) => ({
  inner,
  bind: (...values) => wrap(inner.bind(...values)),
  all: () => (note(1), inner.all()),
  first: (...column) => (note(1), inner.first(...column)),
  run: () => (note(1), inner.run()),
});
const stub = (inner) => new Proxy({}, {
  get: (_, method) => (...args) => (count.objects++, inner[method](...args)),
});
const wrapped = new WeakMap();
function counted(env) {
  const DB = {
    prepare: (sql) => wrap(env.DB.prepare(sql)),
    batch: (list) => (note(list.length), env.DB.batch(list.map(({ inner }) => inner))),
  };
  const DEVICE = { getByName: (name) => stub(env.DEVICE.getByName(name)) };
  if (!wrapped.has(env)) wrapped.set(env, { ...env, DB, DEVICE });
  return wrapped.get(env);
}
class Device extends DeviceObject {
  constructor(ctx, env) { super(ctx, counted(env)); }
  ${methods}
}
class Pairing extends PairingObject { constructor(ctx, env) { super(ctx, counted(env)); } }
export { Device as DeviceObject, Pairing as PairingObject, Issuance as IssuanceObject };
export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === '/counts') return Response.json(count);
    ${routes}
    return worker.fetch(request, counted(env), ctx);
  },
  queue: (batch, env, ctx) => worker.queue(batch, counted(env), ctx),
};`;
}
