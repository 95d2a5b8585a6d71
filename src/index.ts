import { DurableObject } from 'cloudflare:workers';
import { PairingObject as PairingObjectCore } from './durable/pairing/object.ts';
import { consoleLog } from './log.ts';
import { Database } from './storage/d1/database.ts';
import { D1PairingArchive } from './storage/d1/pairings.ts';

export class DeviceObject extends DurableObject<Env> {}
export class PairingObject extends PairingObjectCore {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, { archive: new D1PairingArchive(new Database(env.DB)), log: consoleLog() });
  }
}
export class IssuanceObject extends DurableObject<Env> {}

export default {
  fetch(): Response {
    return new Response('starting\n', { status: 503 });
  },
};
