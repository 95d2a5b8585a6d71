/** A single device is brought up to date before it is read, with those that its end would end. */
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { FreshDirectory } from '../../../src/domain/enrollment/directory.ts';
import {
  breakD1,
  devices,
  enrolledDevice,
  FACTS,
  fleet,
  newDevice,
  START,
  tokens,
  withoutSubscriptions,
} from '../../support/device.ts';
import { value } from '../../support/pairing.ts';

const directory = new FreshDirectory(fleet.index, devices);

beforeAll(withoutSubscriptions);
afterEach(() => vi.restoreAllMocks());

it('an iPhone names its watch from the moment that the watch enrolled, whatever the index has heard', async () => {
  vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const phone = await enrolledDevice({ platform: 'iOS' });
  const watch = await newDevice({ pairingId: 'p1', phone: phone.udid });
  expect((await directory.find(phone.udid))?.watches).toEqual([]);
  // Telling the index fails, and is tried again after a second.
  const outage = breakD1('batch');
  value(await watch.object.authenticate(watch.pin, { ...FACTS, serial: null }, START));
  value(await watch.object.updateTokens(watch.pin, tokens(), START));
  await watch.object.flush();
  outage.mockRestore();
  expect((await fleet.index.find(phone.udid))?.watches).toEqual([]);
  expect((await directory.find(phone.udid))?.watches).toEqual([watch.udid]);
});
