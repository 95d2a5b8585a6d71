/** A world with the stand-in for its server, devices in it, and one command at a time: for the tests of this folder. */
import {
  createDeviceCa,
  createWorld,
  KeyPool,
  type ManagedDevice,
  type PlistDict,
  SimulatedPhone,
  SimulatedWatch,
  type World,
  writePlist,
} from './index.ts';
import { StandIn } from './stand-in.ts';

const keys = new KeyPool({ size: 3 });
const deviceCa = createDeviceCa('Devices CA', keys.take());

/** The enrollment profile of the stand-in. */
export const ENROLLMENT = 'com.example.top';

export class Stage {
  readonly server = new StandIn();
  readonly world: World;
  #count = 0;

  constructor() {
    this.world = createWorld({ baseUrl: this.server.url, deviceCa, seed: 7, keys, send: this.server.send });
  }

  async phone(options = {}): Promise<SimulatedPhone> {
    const phone = await SimulatedPhone.create(this.world, options);
    this.server.udid = phone.udid;
    await phone.enrollByLink(`${this.server.url}/link`);
    return phone;
  }

  async watch(options = {}, phone?: SimulatedPhone): Promise<SimulatedWatch> {
    const host = phone ?? (await this.phone());
    const watch = await SimulatedWatch.create(this.world, options);
    await this.pair(watch, host);
    return watch;
  }

  async pair(watch: SimulatedWatch, phone: SimulatedPhone): Promise<void> {
    this.server.udid = watch.udid;
    await watch.pairWith(phone, { url: `${this.server.url}/enroll/watch` });
  }

  /** One command, and its result as the server got it. */
  async ask(device: ManagedDevice, RequestType: string, more: PlistDict = {}): Promise<PlistDict> {
    this.#count += 1;
    const uuid = `c${this.#count}`;
    this.server.queue.set(uuid, { RequestType, ...more });
    await device.connect();
    const result = this.server.results.find((one) => one['CommandUUID'] === uuid);
    if (result === undefined) throw new Error(`${RequestType} was not answered`);
    return result;
  }

  install(device: ManagedDevice, document: PlistDict): Promise<PlistDict> {
    return this.ask(device, 'InstallProfile', { Payload: writePlist(document) });
  }

  /** `com.example.<name>` with payloads of the given `type`s. */
  profile(name: string, ...payloads: PlistDict[]): PlistDict {
    const part = (type: string, which: string, more: PlistDict): PlistDict => {
      this.#count += 1;
      return {
        PayloadType: type,
        PayloadVersion: 1,
        PayloadIdentifier: `com.example.${which}`,
        PayloadUUID: `${which}-${this.#count}`,
        ...more,
      };
    };
    const PayloadContent = payloads.map(({ type, ...more }, i) => part(String(type), `${name}.${i}`, more));
    return part('Configuration', name, { PayloadContent });
  }
}
