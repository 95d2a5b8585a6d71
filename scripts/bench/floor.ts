/** The floor of a poll: a Worker that does nothing but call one method of one object, which does nothing. */
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { freePort } from '../local/ports.ts';

const SOURCE = `
import { DurableObject } from 'cloudflare:workers';
export class Floor extends DurableObject {
  poll(nowMs) { return null; }
}
export default {
  async fetch(request, env) {
    await env.FLOOR.getByName(request.headers.get('x-object') ?? '').poll(Date.now());
    return new Response(null, { status: 200 });
  },
};`;

export async function startFloor(
  compatibilityDate: string,
): Promise<{ port: number; stop(): Promise<void> }> {
  const port = await freePort();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      telemetry: { enabled: false },
      log: new Log(LogLevel.NONE),
      workers: [
        {
          name: 'floor',
          modules: [{ type: 'ESModule', path: 'index.js', contents: SOURCE }],
          compatibilityDate,
          durableObjects: { FLOOR: { className: 'Floor', useSQLite: true } },
          unsafeDirectSockets: [{ host: '127.0.0.1', port }],
        },
      ],
    }),
  );
  await miniflare.ready;
  return { port, stop: () => miniflare.dispose() };
}
