import { DurableObject } from 'cloudflare:workers';

export class DeviceObject extends DurableObject<Env> {}
export class PairingObject extends DurableObject<Env> {}
export class IssuanceObject extends DurableObject<Env> {}

export default {
  fetch(): Response {
    return new Response('starting\n', { status: 503 });
  },
};
