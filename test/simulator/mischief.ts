/**
 * Bad networks and awkward devices, from a printed seed. The network half wraps `send`: replies get lost after the
 * request arrived, requests arrive twice, parallel ones overtake each other. The device half is a set of
 * probabilities that `ManagedDevice` throws its own dice for. No two parts share dice, so a seed tells one story.
 */
import type { Random } from './random.ts';
import { type DeviceMischief, ReplyLost, type World } from './world.ts';

export { Random } from './random.ts';

export interface NetworkMischief {
  /** The request reaches the server; its reply is lost and the device sends it again. */
  readonly dropReply: number;
  /** The request never reaches the server. */
  readonly dropRequest: number;
  /** The request arrives twice, one after the other; the device sees the first answer or the second. */
  readonly duplicate: number;
  /** The request waits up to `delayMsMax` first, so that parallel ones change their order. */
  readonly delay: number;
  readonly delayMsMax: number;
}

export interface MischiefRates extends NetworkMischief, DeviceMischief {}

export const ORDINARY_MISCHIEF: MischiefRates = {
  dropReply: 0.08,
  dropRequest: 0.05,
  duplicate: 0.08,
  delay: 0.2,
  delayMsMax: 15,
  notNow: 0.1,
  resendResult: 0.1,
  doubleTokenUpdate: 0.3,
  doubleAuthenticate: 0.1,
};

export interface MischiefLog {
  readonly seed: number;
  /** `dropReply PUT /mdm/connect`, in the order it was done. */
  readonly deeds: readonly string[];
}

export interface MischievousWorld extends World {
  readonly mischiefLog: MischiefLog;
}

/** The same world with a bad network in front of it and bad manners in its devices. */
export function withMischief(world: World, rates: Partial<MischiefRates> = {}): MischievousWorld {
  const all = { ...ORDINARY_MISCHIEF, ...rates };
  const dice = world.random.fork();
  const deeds: string[] = [];
  return {
    ...world,
    mischief: all,
    mischiefLog: { seed: world.random.seed, deeds },
    send: (request) => mischievously(world, request, all, dice, deeds),
    ...(world.trace === undefined ? {} : { trace: (event) => world.trace?.(event) }),
  };
}

async function mischievously(
  world: World,
  request: Request,
  rates: NetworkMischief,
  dice: Random,
  deeds: string[],
): Promise<Response> {
  // All dice are thrown before the first await: what happens depends on the order of requests, not on timing.
  const chosen = (['dropRequest', 'dropReply', 'duplicate'] as const).find((deed) =>
    dice.chance(rates[deed]),
  );
  const waitMs = dice.chance(rates.delay) ? dice.int(rates.delayMsMax + 1) : 0;
  const second = dice.chance(0.5);
  if (chosen !== undefined) deeds.push(`${chosen} ${request.method} ${new URL(request.url).pathname}`);
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  if (chosen === 'dropRequest') throw new ReplyLost('the request was lost');
  if (chosen === undefined) return world.send(request);
  const copy = request.clone() as Request;
  const first = await world.send(request);
  if (chosen === 'dropReply') {
    await first.arrayBuffer();
    await copy.body?.cancel();
    throw new ReplyLost('the reply was lost');
  }
  const other = await world.send(copy);
  const [kept, thrown] = second ? [other, first] : [first, other];
  await thrown.arrayBuffer();
  return kept;
}
