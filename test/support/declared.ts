/** What administrators declare and assign in a story through the front door, and what devices make of it. */
import { env } from 'cloudflare:workers';
import { shardOf } from '../../src/domain/declaration/shard.ts';
import type { Udid } from '../../src/domain/ids.ts';
import type { SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import { admin, type Json, logged, logSince, send, url } from './front-door.ts';
import { settle } from './invariants.ts';

export type SimulatedDevice = SimulatedPhone | SimulatedWatch;

export const TEST = 'com.apple.configuration.management.test';
export const SIMPLE = 'com.apple.activation.simple';

/** Names of one story, so that none meets another's. */
export class Story {
  readonly prefix: string;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
    this.prefix = `com.example.${name}`;
  }

  named(name: string): string {
    return `${this.#name}.${name}`;
  }

  /** Creates or replaces, whatever is there. Returns the identifier. */
  async declare(name: string, type: string, payload: Json): Promise<string> {
    const identifier = `${this.prefix}.${name}`;
    const path = `${url}/api/v1/declarations/${encodeURIComponent(identifier)}`;
    const headers = { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ type, payload });
    const put = (precondition: Record<string, string>) =>
      send(new Request(path, { method: 'PUT', headers: { ...headers, ...precondition }, body }));
    const created = await put({ 'If-None-Match': '*' });
    const reply = created.status === 412 ? await put({ 'If-Match': '*' }) : created;
    if (!reply.ok) throw new Error(`PUT ${identifier}: ${reply.status} ${await reply.text()}`);
    return identifier;
  }

  echo(name: string, text: string): Promise<string> {
    return this.declare(name, TEST, { Echo: text });
  }

  putSet(set: string, declarations: readonly string[]): Promise<Json> {
    return admin('PUT', `sets/${this.named(set)}`, { declarations: [...declarations] });
  }

  assign(set: string, device: SimulatedDevice): Promise<Json> {
    return admin('PUT', `sets/${this.named(set)}/devices/${device.udid}`);
  }

  assignGroup(set: string, group: string, percent = 100): Promise<Json> {
    return admin('PUT', `sets/${this.named(set)}/groups/${group}`, { percent });
  }

  unassignGroup(set: string, group: string): Promise<Json> {
    return admin('DELETE', `sets/${this.named(set)}/groups/${group}`);
  }

  /** Makes the group if need be. Returns its name. */
  async group(
    name: string,
    change: { readonly add?: readonly SimulatedDevice[]; readonly remove?: readonly SimulatedDevice[] },
  ): Promise<string> {
    const group = this.named(name);
    await admin('PUT', `groups/${group}`);
    const { add = [], remove = [] } = change;
    const udids = (devices: readonly SimulatedDevice[]) => devices.map((device) => device.udid);
    await admin('POST', `groups/${group}/devices`, { add: udids(add), remove: udids(remove) });
    return group;
  }

  /** Of this story's declarations, those that the device holds: name and Echo. */
  held(device: SimulatedDevice): Record<string, unknown> {
    const start = `${this.prefix}.`;
    const own = device.declarations.filter(({ declaration }) => declaration.identifier.startsWith(start));
    return Object.fromEntries(
      own.map(({ declaration: { identifier, kind, payload } }) => [
        identifier.slice(start.length),
        payload['Echo'] ?? kind,
      ]),
    );
  }
}

/** Whether the device was told, and synced. */
export async function told(device: SimulatedDevice): Promise<boolean> {
  await settle();
  let synced = false;
  for (let i = 0; i < 5; i++) {
    const { commands, sync } = await device.connect();
    synced ||= sync !== null;
    await settle();
    if (commands.length === 0) return synced;
  }
  throw new Error('a session without end');
}

/** UDIDs of the devices that are woken by what `act` does, in the order in which they were given. */
export async function wokenBy(
  devices: readonly SimulatedDevice[],
  act: () => Promise<unknown>,
): Promise<string[]> {
  await settle();
  const from = logged.length;
  await act();
  await settle();
  const woken = new Set(logSince(from).flatMap((line) => (line['event'] === 'wake' ? [line['udid']] : [])));
  return devices.map((device) => device.udid).filter((udid) => woken.has(udid));
}

/** One declaration of what administrators see of a device. */
export async function seen(device: SimulatedDevice, identifier: string): Promise<Json | undefined> {
  const { items } = await admin('GET', `devices/${device.udid}/declarations`);
  return (items as Json[]).find((item) => item['identifier'] === identifier);
}

let tried = 0;

/** A UDID that nobody has, in this shard. */
export function udidInShard(shard: number): string {
  for (;;) {
    tried += 1;
    const udid = `00008130-${tried.toString(16).toUpperCase().padStart(16, '0')}`;
    if (shardOf(udid as Udid) === shard) return udid;
  }
}
