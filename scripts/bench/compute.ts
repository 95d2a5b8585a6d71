/**
 * The server's own computing in a handshake: recorded requests of real handshakes, played step by step to the whole
 * server in front of storage that answers from memory. Each timed request is one that this isolate sees for the first
 * time, from a watch that it never saw, as in life; other watches' requests have warmed the code before. Only GetToken
 * is easier than it may be: one phone sends them all, so its certificate is known.
 */
import { buildWorker } from '../local/build.ts';
import { type LocalSecrets, workerSecrets } from '../local/secrets.ts';
import type { Recording } from './handshake-worker.ts';
import { startOwnWorker } from './own-worker.ts';
import { median } from './report.ts';

export interface ComputeFigures {
  /** Microseconds of one request, in order. */
  readonly steps: readonly { readonly name: string; readonly micros: number }[];
  readonly sumMicros: number;
  /** One RSA-2048 signature, in the same process. */
  readonly signMicros: number;
}

const RUNS = 5;
const WARM_UP_ROUNDS = 20;
/** Of the recordings, this share only warms. */
const WARM_UP_SHARE = 0.2;
const SIGNS = 100;

export async function benchCompute(
  names: readonly string[],
  recordings: readonly Recording[],
  server: { readonly publicUrl: string; readonly secrets: Omit<LocalSecrets, 'storageKey'> },
): Promise<ComputeFigures> {
  const { vars } = await buildWorker();
  const storageKey = Buffer.alloc(32, 7).toString('base64');
  const bindings = {
    ...vars,
    ...{ ENVIRONMENT: 'local', PUBLIC_URL: server.publicUrl },
    ...workerSecrets({ ...server.secrets, storageKey }),
  };
  const runs: Awaited<ReturnType<typeof runOnce>>[] = [];
  for (let run = 0; run < RUNS; run++) runs.push(await runOnce(names, recordings, bindings));
  const steps = names.map((name, step) => ({
    name,
    micros: median(runs.map(({ micros }) => micros[step] ?? Number.NaN)),
  }));
  return {
    steps,
    sumMicros: steps.reduce((sum, { micros }) => sum + micros, 0),
    signMicros: median(runs.map(({ signMicros }) => signMicros)),
  };
}

async function runOnce(
  names: readonly string[],
  recordings: readonly Recording[],
  bindings: Readonly<Record<string, string>>,
): Promise<{ micros: number[]; signMicros: number }> {
  const worker = await startOwnWorker('handshake-worker.ts', bindings);
  const ask = async (query: string, body: string | null = null) => {
    const startedAt = performance.now();
    const response = await fetch(`${worker.url}/?${query}`, { method: body === null ? 'GET' : 'POST', body });
    if (!response.ok) throw new Error(`${query}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
    return performance.now() - startedAt;
  };
  try {
    await ask('load', JSON.stringify(recordings));
    const warm = Math.ceil(recordings.length * WARM_UP_SHARE);
    const half = Math.floor((recordings.length - warm) / 2);
    for (let round = 0; round < WARM_UP_ROUNDS; round++) {
      for (const step of names.keys()) await ask(`step=${step}&from=0&to=${warm}`);
    }
    await ask(`sign=${SIGNS}`);
    const idle = [];
    for (let i = 0; i < 20; i++) idle.push(await ask('nothing'));
    const micros = [];
    const signs = [];
    for (const [step, name] of names.entries()) {
      // A device's second signed request is played for other devices than the first: nothing of theirs is cached.
      const from = warm + (isSecond(names, step, name) ? half : 0);
      const spent = (await ask(`step=${step}&from=${from}&to=${from + half}`)) - median(idle);
      micros.push((1000 * spent) / half);
      signs.push((1000 * ((await ask(`sign=${SIGNS}`)) - median(idle))) / SIGNS);
    }
    return { micros, signMicros: median(signs) };
  } finally {
    await worker.stop();
  }
}

function isSecond(names: readonly string[], step: number, name: string): boolean {
  return name === 'TokenUpdate' || (name.startsWith('POST /enroll/watch') && step > names.indexOf(name));
}
