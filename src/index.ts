/** The Worker: requests, the sweeper's schedule, and the Durable Object classes with their ports. */

import { DeviceObject as DeviceObjectCore } from './durable/device/object.ts';
import { PairingObject as PairingObjectCore } from './durable/pairing/object.ts';
import { createApp } from './http/app.ts';
import { answerBroken, answerError } from './http/errors.ts';
import { consoleLog } from './log.ts';
import { randomUuid } from './pki/random.ts';
import { type EpochMs, epochMs } from './std/time.ts';
import { Database } from './storage/d1/database.ts';
import { D1DeviceProfiles } from './storage/d1/device-profiles.ts';
import { D1PairingArchive } from './storage/d1/pairings.ts';
import type { FanoutMessage } from './storage/queue/due.ts';
import { deviceOutbox, fleetFor, servicesFor } from './wiring.ts';

export { IssuanceObject } from './durable/issuance/object.ts';

export class DeviceObject extends DeviceObjectCore {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, deviceOutbox(env), randomUuid);
  }
}

export class PairingObject extends PairingObjectCore {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, { archive: new D1PairingArchive(new Database(env.DB)), log: consoleLog() });
  }
}

const apps = new WeakMap<Env, ReturnType<typeof createApp>>();

async function sweepApps(env: Env, nowMs: EpochMs): Promise<void> {
  const { background } = await servicesFor(env);
  await background.carryOn(nowMs);
  await background.packages.sweep(nowMs);
}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    try {
      let app = apps.get(env);
      if (app === undefined) {
        app = createApp(await servicesFor(env));
        apps.set(env, app);
      }
      return await app.fetch(request, env, ctx);
    } catch (error) {
      // Only a broken configuration gets here: the application catches what its own handlers throw.
      const asked = new URL(request.url).pathname;
      return asked === '/healthz' ? answerBroken(error, consoleLog()) : answerError(error, consoleLog());
    }
  },

  async queue(batch: MessageBatch<FanoutMessage>, env: Env): Promise<void> {
    const { due } = fleetFor(env);
    for (const message of batch.messages) {
      const nowMs = epochMs(Date.now());
      if (message.body.kind === 'deployments') await (await servicesFor(env)).background.carryOn(nowMs);
      else await due.bringSome(nowMs);
      message.ack();
    }
  },

  async scheduled(controller: ScheduledController, env: Env): Promise<void> {
    const { db, sweeper, due, events } = fleetFor(env);
    const nowMs = epochMs(controller.scheduledTime);
    // None waits for another, nor for ever: what one cannot mend must not keep the rest from being made good.
    const swept = await Promise.allSettled([
      sweeper.sweep(nowMs),
      events.sweep(nowMs),
      due.sweep(),
      sweepApps(env, nowMs),
      new D1DeviceProfiles(db).sweep(nowMs),
    ]);
    const [forgotten] = swept;
    if (forgotten.status === 'fulfilled' && forgotten.value > 0)
      consoleLog().event('sweep', { count: forgotten.value });
    for (const one of swept) if (one.status === 'rejected') throw one.reason;
  },
};
