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

/** Queued, answered in one session, and read back; the results in the order of the commands. */
async function ordered({ admin }: Stage, watch: SimulatedWatch, commands: readonly Json[]): Promise<Told> {
  const path = `devices/${watch.udid}/commands`;
  const queued: string[] = [];
  for (const command of commands) {
    queued.push(String((await admin.post(path, { command, push: false }))['commandUuid']));
  }
  const session = await watch.connect();
  const results: Json[] = [];
  for (const uuid of queued) {
    await admin.until(`${path}/${uuid}`, (value) => value['state'] === 'acknowledged');
    results.push((await admin.get(`${path}/${uuid}`))['result'] as Json);
  }
  const came = session.commands.map(({ commandUuid }) => queued.indexOf(commandUuid));
  return { came: came.filter((at) => at !== -1), results };
}

interface Told {
  /** Which command came when, by its place among those queued. */
  readonly came: readonly number[];
  readonly results: readonly Json[];
}

export async function command(stage: Stage, watch: SimulatedWatch): Promise<void> {
  const { expect } = stage;
  const Queries = ['UDID', 'SerialNumber', 'OSVersion', 'ModelName', 'BatteryLevel', 'IsSupervised'];
  const asked = { RequestType: 'DeviceInformation', Queries };
  const lock = { RequestType: 'DeviceLock', Message: 'Please return this watch.' };
  const { came } = await ordered(stage, watch, [asked, lock]);
  expect.that(came.join() === '1,0', 'both reached the watch, first the lock, which is urgent');
  expect.that(watch.facts.locked, 'the watch is locked');
  const clear = { RequestType: 'ClearPasscode' };
  const { results } = await ordered(stage, watch, [{ RequestType: 'SecurityInfo' }, clear]);
  const security = results[0]?.['SecurityInfo'] as Json | undefined;
  expect.that(
    !watch.facts.passcode && security?.['PasscodePresent'] === false,
    'its passcode is gone, by the unlock token that the server had kept, and the watch says so',
  );
}
