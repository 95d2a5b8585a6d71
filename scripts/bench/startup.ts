/**
 * What an isolate pays once: the bundle's size, and the time that loading it takes. Ten copies of the bundle are
 * modules of a bare Worker, each imported by one request; the time is the request's, less that of an empty module.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4ModuleDefinition } from 'miniflare';
import { buildWorker } from '../local/build.ts';
import { freePort } from '../local/ports.ts';
import { median } from './report.ts';

export interface StartupFigures {
  readonly gzipBytes: number;
  readonly loadMs: number;
  readonly emptyMs: number;
}

const COPIES = 10;

export async function benchStartup(): Promise<StartupFigures> {
  const build = await buildWorker();
  const names = readdirSync(build.directory).filter((name) => /\.(js|sql|txt|html|wasm|bin)$/.test(name));
  const texts = new Map(names.map((name) => [name, readFileSync(join(build.directory, name))]));
  const bundle = texts.get('index.js')?.toString() ?? '';
  const modules: V4ModuleDefinition[] = [{ type: 'ESModule', path: 'main.js', contents: MAIN }];
  for (const [name, contents] of texts) {
    if (name === 'index.js') continue;
    if (/\.js$/.test(name)) modules.push({ type: 'ESModule', path: name, contents: contents.toString() });
    else if (/\.(sql|txt|html)$/.test(name))
      modules.push({ type: 'Text', path: name, contents: contents.toString() });
    else modules.push({ type: name.endsWith('.wasm') ? 'CompiledWasm' : 'Data', path: name, contents });
  }
  for (let copy = 0; copy < COPIES; copy++) {
    modules.push({ type: 'ESModule', path: `bundle${copy}.js`, contents: `${bundle}\n// ${copy}` });
    modules.push({ type: 'ESModule', path: `empty${copy}.js`, contents: `export default ${copy};` });
  }
  const port = await freePort();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      telemetry: { enabled: false },
      log: new Log(LogLevel.NONE),
      workers: [
        {
          name: 'startup',
          modules,
          compatibilityDate: build.compatibilityDate,
          unsafeDirectSockets: [{ host: '127.0.0.1', port }],
        },
      ],
    }),
  );
  try {
    await miniflare.ready;
    const time = async (kind: string, copy: number) => {
      const startedAt = performance.now();
      const response = await fetch(`http://127.0.0.1:${port}/${kind}${copy}.js`);
      if (!response.ok) throw new Error(await response.text());
      await response.arrayBuffer();
      return performance.now() - startedAt;
    };
    const empty = [];
    const full = [];
    await time('none', 0);
    for (let copy = 0; copy < COPIES; copy++) {
      empty.push(await time('empty', copy));
      full.push(await time('bundle', copy));
    }
    const all = Buffer.concat([...texts.values()]);
    const emptyMs = median(empty);
    return { gzipBytes: gzipSync(all, { level: 9 }).length, loadMs: median(full) - emptyMs, emptyMs };
  } finally {
    await miniflare.dispose();
  }
}

const MAIN = `export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith('/none')) await import('.' + pathname);
    return new Response('loaded');
  },
};`;
