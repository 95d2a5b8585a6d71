/** Workers of the bench's own: bundled from one of these files with the server's real modules, alone in a workerd. */
import { join } from 'node:path';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { buildWorker, localFolder, projectRoot } from '../local/build.ts';
import { freePort } from '../local/ports.ts';

export interface OwnWorker {
  readonly url: string;
  stop(): Promise<void>;
}

/** `entry` is a file of this folder. */
export async function startOwnWorker(
  entry: string,
  bindings: Readonly<Record<string, unknown>>,
): Promise<OwnWorker> {
  const { compatibilityDate, compatibilityFlags } = await buildWorker();
  const bundled = await build({
    entryPoints: [join(projectRoot, 'scripts/bench', entry)],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'esnext',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    outdir: join(localFolder, 'build', 'bench'),
  });
  const port = await freePort();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      telemetry: { enabled: false },
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: () => {},
      workers: [
        {
          name: 'bench',
          modules: [{ type: 'ESModule', path: 'index.js', contents: bundled.outputFiles[0]?.text ?? '' }],
          compatibilityDate,
          compatibilityFlags: [...compatibilityFlags],
          bindings: JSON.parse(JSON.stringify(bindings)),
          unsafeDirectSockets: [{ host: '127.0.0.1', port }],
        },
      ],
    }),
  );
  await miniflare.ready;
  return { url: `http://127.0.0.1:${port}`, stop: () => miniflare.dispose() };
}
