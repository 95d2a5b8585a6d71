/**
 * A module in front of the Worker that counts what it and its objects ask the database; locally they share one isolate.
 * `GET /counts` tells.
 */
import type { Stack } from '../local/stack.ts';

export interface StorageUse {
  readonly statements: number;
  /** Calls to the database: a batch is one. */
  readonly calls: number;
}

export async function readCounts(stack: Stack): Promise<StorageUse> {
  return (await (await fetch(`${stack.url}/counts`)).json()) as StorageUse;
}

export const COUNTING_FRONT = `
import worker, { DeviceObject, PairingObject, IssuanceObject as Issuance } from './index.js';
const count = { statements: 0, calls: 0 };
const note = (statements) => { count.statements += statements; count.calls++; };
const wrap = (inner) => ({
  inner,
  bind: (...values) => wrap(inner.bind(...values)),
  all: () => (note(1), inner.all()),
  first: (...column) => (note(1), inner.first(...column)),
  run: () => (note(1), inner.run()),
});
const wrapped = new WeakMap();
function counted(env) {
  const DB = {
    prepare: (sql) => wrap(env.DB.prepare(sql)),
    batch: (list) => (note(list.length), env.DB.batch(list.map(({ inner }) => inner))),
  };
  if (!wrapped.has(env)) wrapped.set(env, { ...env, DB });
  return wrapped.get(env);
}
class Device extends DeviceObject { constructor(ctx, env) { super(ctx, counted(env)); } }
class Pairing extends PairingObject { constructor(ctx, env) { super(ctx, counted(env)); } }
export { Device as DeviceObject, Pairing as PairingObject, Issuance as IssuanceObject };
export default {
  fetch: (request, env, ctx) =>
    new URL(request.url).pathname === '/counts' ? Response.json(count) : worker.fetch(request, counted(env), ctx),
};`;
