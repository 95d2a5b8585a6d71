/**
 * Devices that stay: each connects every few seconds, answers what waits for it, and is its ordinary self until Ctrl-C.
 * Their App Store has every app that the server knows, under the identifiers that it knows it by.
 */
import type { ManagedDevice, SimulatedPhone, SimulatedWatch, StoreApp } from '../../test/simulator/index.ts';
import type { AdminClient, Json } from '../local/admin-client.ts';

export interface Stay {
  readonly admin: AdminClient;
  readonly phone: SimulatedPhone;
  readonly watches: readonly SimulatedWatch[];
  readonly everyMs: number;
  /** Of each type of command, how many times it is put off. */
  readonly defers: number;
  /** The users of these devices want no apps. */
  readonly refusesApps: boolean;
  readonly say: (line: string) => void;
}

/** Resolves after the signal. */
export async function stay(options: Stay, ended: AbortSignal): Promise<void> {
  const { phone, watches, everyMs, refusesApps } = options;
  const devices: readonly ManagedDevice[] = [phone, ...watches];
  for (const { facts } of devices) if (refusesApps) facts.onInstall = () => 'reject';
  const deferred = new Map<string, number>();
  const gone = new Set<ManagedDevice>();
  while (!ended.aborted) {
    await stock(options);
    for (const device of devices) {
      if (ended.aborted || gone.has(device)) continue;
      await answer(device, options, deferred);
      if (device.profile !== null) continue;
      gone.add(device);
      options.say(`${device.name} ${device.udid} is no longer enrolled`);
    }
    if (gone.size === devices.length) return;
    await pause(everyMs, ended);
  }
}

async function answer(
  device: ManagedDevice,
  { defers, say }: Stay,
  deferred: Map<string, number>,
): Promise<void> {
  const notNow = (requestType: string) => {
    const key = `${device.udid} ${requestType}`;
    const times = deferred.get(key) ?? 0;
    deferred.set(key, times + 1);
    return times < defers;
  };
  try {
    const { commands } = await device.connect({ resume: true, notNow });
    for (const { requestType, status } of commands)
      say(`${device.name} ${device.udid}  ${requestType}  ${status}`);
  } catch (error) {
    // The server may be starting again; a device would try later, too.
    say(`${device.name} ${device.udid}  ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What is not an app of a store is downloaded by its manifest, and known only once that is read. */
async function stock({ admin, phone, watches, say }: Stay): Promise<void> {
  try {
    const { items } = await admin.get('apps?limit=200');
    for (const app of items as readonly Json[]) {
      const { watchBundleId, name, kind } = app as { [key: string]: string };
      const companion = (app['phone'] as Json | null)?.['bundleId'] as string | undefined;
      const iTunesStoreId = (app['source'] as Json)['iTunesStoreID'] as number | undefined;
      const sold = { name: String(name), version: '1.0', externalVersion: 1 };
      const inStore = { ...sold, ...(iTunesStoreId === undefined ? {} : { iTunesStoreId }) };
      const forWatch = { ...inStore, kind: kind as NonNullable<StoreApp['kind']> };
      for (const { facts } of watches)
        facts.store.set(String(watchBundleId), {
          ...forWatch,
          ...(companion === undefined ? {} : { companion }),
        });
      if (companion !== undefined) phone.facts.store.set(companion, inStore);
    }
  } catch (error) {
    say(`the apps of the server are not known (${error instanceof Error ? error.message : String(error)})`);
  }
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    ended.addEventListener('abort', done, { once: true });
  });
}
