/** The bench's view of processes: which workerd is ours, its CPU time, and a core of its own. Linux only. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { LoadOrder, LoadResult } from './load.ts';

/** Children of this process that are workerd. */
export function workerdChildren(): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const stat = readStat(pid);
      return stat?.name === 'workerd' && stat.parent === process.pid;
    });
}

/** Starts something and says which workerd came with it; null where that cannot be known. */
export async function withItsWorkerd<T>(start: () => Promise<T>): Promise<{ value: T; pid: number | null }> {
  const before = new Set(workerdChildren());
  const value = await start();
  return { value, pid: workerdChildren().find((pid) => !before.has(pid)) ?? null };
}

const TICKS_PER_SECOND = 100;

/** User and system time so far, in ms; granularity 10 ms. */
export function cpuMs(pid: number): number {
  return ((readStat(pid)?.ticks ?? 0) * 1000) / TICKS_PER_SECOND;
}

/** Memory of `pid` that is in RAM, in MiB; null where that cannot be known. */
export function residentMiB(pid: number): number | null {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? null : Number(kib) / 1024;
  } catch {
    // No such file: not Linux, or the process ended.
    return null;
  }
}

function readStat(pid: number): { name: string; parent: number; ticks: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { name, parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    // The process ended between the listing and the look.
    return null;
  }
}

/** All threads of `pid` on one core; false where that cannot be done. */
export function pin(pid: number | null | undefined, core: number): boolean {
  if (pid === null || pid === undefined || availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    // No taskset: the figures then come from unpinned processes, and the report says so.
    return false;
  }
}

export class LoadGenerator {
  readonly #child: ChildProcess;

  constructor(core: number) {
    this.#child = fork(join(import.meta.dirname, 'load.ts'), { stdio: 'inherit' });
    pin(this.#child.pid, core);
  }

  run(order: LoadOrder): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      this.#child.once('message', (result: LoadResult) =>
        result.error === null ? resolve(result) : reject(new Error(`under load: ${result.error}`)),
      );
      this.#child.send(order);
    });
  }

  stop(): void {
    this.#child.disconnect();
  }
}
