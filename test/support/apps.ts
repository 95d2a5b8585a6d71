/** Apps and their deployments in a story through the front door: what is put, ordered, and becomes of it. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import worker from '../../src/index.ts';
import type { SimulatedPhone, SimulatedWatch, StoreApp } from '../simulator/index.ts';
import { admin, type Json, send, url } from './front-door.ts';
import { settle } from './invariants.ts';

export type SimulatedDevice = SimulatedPhone | SimulatedWatch;

export interface TestApp {
  /** Of the watch. */
  readonly id: string;
  readonly phone: string | null;
  readonly storeId: number;
  readonly phoneStoreId: number;
}

let made = 0;

/** Put into the library, and into the stores of the devices; both sides have an id of their own there. */
export async function putApp(
  kind: 'paired' | 'dependent' | 'standalone',
  devices: readonly SimulatedDevice[],
  more: Json = {},
): Promise<TestApp> {
  made += 1;
  const base = `com.example.app${made}x${Math.floor(Math.random() * 1e9)}`;
  const [storeId, phoneStoreId] = [900_000_000 + made * 2, 900_000_001 + made * 2];
  const app = {
    id: `${base}.watchkitapp`,
    phone: kind === 'standalone' ? null : base,
    storeId,
    phoneStoreId,
  };
  for (const device of devices) stock(device, app, kind);
  await put(app, kind, more);
  return app;
}

function stock({ facts }: SimulatedDevice, app: TestApp, kind: StoreApp['kind'] & string): void {
  const plain = { version: '1.0', externalVersion: 1 };
  const companion = app.phone === null ? {} : { companion: app.phone };
  facts.store.set(app.id, { ...plain, name: 'watch app', iTunesStoreId: app.storeId, kind, ...companion });
  if (app.phone !== null)
    facts.store.set(app.phone, { ...plain, name: 'app', iTunesStoreId: app.phoneStoreId });
}

export async function put(app: TestApp, kind: string, more: Json = {}): Promise<Json> {
  const phone = app.phone === null ? {} : { phone: phoneSide(app) };
  const source = { kind: 'app-store', iTunesStoreID: app.storeId };
  return putJson(app.id, { name: 'An app', kind, source, ...phone, ...more });
}

function phoneSide({ phone, phoneStoreId }: TestApp): Json {
  return { bundleId: phone, source: { kind: 'app-store', iTunesStoreID: phoneStoreId } };
}

async function putJson(id: string, body: Json): Promise<Json> {
  const request = (precondition: Record<string, string>) =>
    new Request(`${url}/api/v1/apps/${id}`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${env.ADMIN_KEY}`,
        'content-type': 'application/json',
        ...precondition,
      },
      body: JSON.stringify(body),
    });
  const created = await send(request({ 'If-None-Match': '*' }));
  const reply = created.status === 412 ? await send(request({ 'If-Match': '*' })) : created;
  if (!reply.ok) throw new Error(`PUT apps/${id}: ${reply.status} ${await reply.text()}`);
  return (await reply.json()) as Json;
}

/** Returns the deployment's id. */
export async function deploy(
  watch: SimulatedDevice,
  app: TestApp,
  action: 'install' | 'update' | 'remove' = 'install',
): Promise<string> {
  return String((await admin('POST', `devices/${watch.udid}/apps`, { app: app.id, action }))['deploymentId']);
}

/** As it is once everything that was said has been told. */
export async function deployment(id: string): Promise<Json> {
  await settle();
  return admin('GET', `deployments/${id}`);
}

/** `step outcome` or `step outcome!reason`, oldest first. */
export async function timeline(id: string): Promise<string[]> {
  const { timeline: entries } = await deployment(id);
  return (entries as Json[]).map(
    ({ step, outcome, reason }) => `${step} ${outcome}${reason === undefined ? '' : `!${reason}`}`,
  );
}

/** The devices poll in turn until the deployment is over, or as often as it takes to say that it stays. */
export async function drive(id: string, devices: readonly SimulatedDevice[], polls = 12): Promise<Json> {
  for (let poll = 0; poll < polls; poll++) {
    for (const device of devices) await device.connect();
    const now = await deployment(id);
    if (now['state'] !== 'running') return now;
  }
  return deployment(id);
}

/** The cron handler, at a time that may be far off. */
export async function sweep(atMs: number): Promise<void> {
  const context = createExecutionContext();
  await worker.scheduled(createScheduledController({ scheduledTime: new Date(atMs) }), env);
  await waitOnExecutionContext(context);
  await settle();
}

/** RequestTypes of the commands of a device, oldest first. */
export async function commandsOf(device: SimulatedDevice): Promise<string[]> {
  await settle();
  const { items } = await admin('GET', `devices/${device.udid}/commands?limit=500`);
  return (items as Json[]).map((one) => String(one['requestType'])).reverse();
}

export const APP_COMMANDS = ['InstallApplication', 'RemoveApplication', 'ManagedApplicationList'];

export async function appCommandsOf(device: SimulatedDevice): Promise<string[]> {
  return (await commandsOf(device)).filter((type) => APP_COMMANDS.includes(type));
}

export function stateOn({ facts }: SimulatedDevice, bundleId: string | null): string | undefined {
  return bundleId === null ? undefined : facts.apps.get(bundleId)?.state;
}
