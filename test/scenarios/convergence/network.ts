/**
 * The way between devices and server, bad on demand and from dice: requests and replies get lost (the device repeats),
 * requests arrive twice, objects are evicted between two of them, a session breaks off, and something else happens in
 * the middle of one. Also counts the DeclarativeManagement commands that each device is sent.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { Buffer } from 'node:buffer';
import { type Random, ReplyLost } from '../../simulator/index.ts';
import { send } from '../../support/front-door.ts';

/** The connection is gone until the next session. */
export class Cut extends Error {}

const DROP_REQUEST = 0.04;
const DROP_REPLY = 0.08;
const TWICE = 0.08;
const EVICT = 0.05;

/** How often each happened, in all stories of a file. */
export const deeds = {
  'request lost': 0,
  'reply lost': 0,
  'request doubled': 0,
  'objects evicted': 0,
  'session broken off': 0,
  'edit in a session': 0,
  'edit beside a session': 0,
  'put off': 0,
};

export interface Weather {
  readonly bad: boolean;
  /** After so many requests nothing arrives any more. */
  readonly cutAfter?: number;
  /** What happens before the request with that number, or begins there and goes on beside the session. */
  readonly meanwhile?: { readonly at: number; readonly beside: boolean; act(): Promise<void> };
}

export class Network {
  readonly #dice: Random;
  /** What arrives goes here. */
  readonly #server: (request: Request) => Promise<Response>;
  #weather: Weather = { bad: false };
  #requests = 0;
  #beside: Promise<void> | null = null;
  /** By UDID, the CommandUUIDs since the last `forget`. */
  readonly #told = new Map<string, Set<string>>();

  constructor(dice: Random, server: (request: Request) => Promise<Response> = send) {
    this.#dice = dice;
    this.#server = server;
  }

  /** From the next request on; the count of requests begins anew. */
  set weather(weather: Weather) {
    this.#weather = weather;
    this.#requests = 0;
  }

  /** What began beside a session is over. */
  async settled(): Promise<void> {
    await this.#beside;
  }

  toldOf(udid: string): number {
    return this.#told.get(udid)?.size ?? 0;
  }

  forget(): void {
    this.#told.clear();
  }

  send = async (request: Request): Promise<Response> => {
    const { bad, cutAfter, meanwhile } = this.#weather;
    const number = this.#requests++;
    if (meanwhile?.at === number) {
      deeds[meanwhile.beside ? 'edit beside a session' : 'edit in a session']++;
      this.#beside = meanwhile.act();
      if (!meanwhile.beside) await this.#beside;
    }
    if (cutAfter !== undefined && number >= cutAfter) {
      deeds['session broken off']++;
      throw new Cut('the connection is gone');
    }
    if (!bad) return this.#deliver(request);
    if (this.#happens('objects evicted', EVICT)) await evictAllDurableObjects();
    if (this.#happens('request lost', DROP_REQUEST)) throw new ReplyLost('the request was lost');
    const copy = request.clone() as Request;
    const first = await this.#deliver(request);
    if (this.#happens('reply lost', DROP_REPLY)) throw new ReplyLost('the reply was lost');
    return this.#happens('request doubled', TWICE) ? this.#deliver(copy) : first;
  };

  #happens(deed: keyof typeof deeds, probability: number): boolean {
    const happens = this.#dice.chance(probability);
    if (happens) deeds[deed]++;
    return happens;
  }

  async #deliver(request: Request): Promise<Response> {
    const isConnect = new URL(request.url).pathname === '/mdm/connect';
    const sent = isConnect ? Buffer.from(await (request.clone() as Request).arrayBuffer()).toString() : '';
    const response = await this.#server(request);
    if (isConnect) this.#note(sent, Buffer.from(await response.clone().arrayBuffer()).toString());
    return response;
  }

  #note(sent: string, answered: string): void {
    if (!answered.includes('<string>DeclarativeManagement</string>')) return;
    const udid = /<key>UDID<\/key>\s*<string>([^<]*)/.exec(sent)?.[1] ?? '';
    const uuid = /<key>CommandUUID<\/key>\s*<string>([^<]*)/.exec(answered)?.[1] ?? '';
    this.#told.set(udid, (this.#told.get(udid) ?? new Set()).add(uuid));
  }
}
