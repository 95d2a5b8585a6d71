/** The scenes that must go well: the iPhone enrolls, learns of watch enrollment, a watch pairs and obeys. */
import type { SimulatedPhone, SimulatedWatch } from '../../test/simulator/index.ts';
import type { Json } from '../local/admin-client.ts';
import { itemsOf, type Stage } from './stage.ts';

export async function enrollPhone({ admin, expect }: Stage, phone: SimulatedPhone): Promise<void> {
  const link = await admin.post('enrollment-links', {
    udid: phone.udid,
    serial: phone.serial,
    platform: 'iOS',
    signed: true,
    ttlSeconds: 600,
  });
  await phone.enrollByLink(String(link['url']));
  const device = await admin.until(`devices/${phone.udid}`, (value) => value['state'] === 'enrolled');
  expect.that(device['platform'] === 'iOS', `${phone.name} ${phone.udid} is enrolled`);
}

export async function assignWatchEnrollment(
  { admin, stack, expect }: Stage,
  phone: SimulatedPhone,
): Promise<void> {
  const path = `watch-enrollment/devices/${phone.udid}`;
  await admin.put(path, { anchors: [stack.ca.certificate] });
  const session = await phone.connect();
  if (session.sync === null) await phone.sync();
  expect.that(phone.watchEnrollmentUrl() !== null, 'the iPhone holds the watch enrollment configuration');
  const status = await admin.until(path, (value) => value['active'] === true && value['valid'] === 'valid');
  expect.that(status['assigned'] === true, 'and reported it active and valid');
}

/** Apple's order, one call at a time, so that the token is at hand for the attacks. */
export async function pair(
  { admin, expect, timeline }: Stage,
  phone: SimulatedPhone,
  watch: SimulatedWatch,
): Promise<Buffer> {
  watch.useEnrollmentUrl(phone.watchEnrollmentUrl() ?? '');
  const first = await watch.requestProfile();
  expect.that(first.securityToken !== undefined, 'the watch is asked for a pairing token');
  const answer = await phone.getToken({ securityToken: first.securityToken ?? '', watchUdid: watch.udid });
  const token = answer.tokenData;
  if (token === undefined) throw new Error(`the iPhone got no token: ${answer.status}`);
  const second = await watch.requestProfile(token);
  if (second.profile === undefined) throw new Error(`the watch got no profile: ${second.status}`);
  await watch.install(second.profile);
  const device = await admin.until(`devices/${watch.udid}`, (value) => value['state'] === 'enrolled');
  expect.that(device['phone'] === phone.udid, `${watch.name} ${watch.udid} is enrolled`);
  const path = `pairings?watch=${watch.udid}`;
  const pairings = await admin.until(path, (value) => itemsOf(value)[0]?.['state'] === 'enrolled');
  const steps = itemsOf(itemsOf(pairings)[0] ?? {}, 'timeline').map((entry) => entry['step']);
  timeline.note(`on the pairing's timeline: ${steps.join(', ')}`);
  return token;
}

export async function command({ admin, expect }: Stage, watch: SimulatedWatch): Promise<void> {
  const queries = ['UDID', 'SerialNumber', 'OSVersion', 'ModelName', 'BatteryLevel', 'IsSupervised'];
  const commands: Json[] = [
    { RequestType: 'DeviceInformation', Queries: queries },
    { RequestType: 'DeviceLock', Message: 'Please return this watch.' },
  ];
  const queued: string[] = [];
  for (const one of commands) {
    const path = `devices/${watch.udid}/commands`;
    queued.push(String((await admin.post(path, { command: one, push: false }))['commandUuid']));
  }
  const session = await watch.connect();
  const came = session.commands.map(({ commandUuid }) => commandUuid);
  expect.that(
    came.filter((uuid) => queued.includes(uuid)).join() === queued.toReversed().join(),
    'both reached the watch, first the lock, which is urgent',
  );
  for (const uuid of queued) {
    const path = `devices/${watch.udid}/commands/${uuid}`;
    await admin.until(path, (value) => value['state'] === 'acknowledged');
    await admin.get(path);
  }
  expect.that(watch.facts.locked, 'the watch is locked');
}
