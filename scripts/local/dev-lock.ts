/**
 * One `npm run dev` at a time on one folder of state. The lock also names the workerd that serves it: when `dev` is
 * killed outright its workerd lives on, and two of them on the same databases would not know of each other.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { commandOf, end, isOfThisProject, ownWorkerd, type RunningProcess } from './processes.ts';

export class LockRefusal extends Error {}

interface Content {
  readonly pid: number;
  readonly workerd: RunningProcess | null;
}

export class DevLock {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Held on return, with nothing of an earlier run alive; returns the workerd that was ended for it. */
  async take(folder: string): Promise<RunningProcess | null> {
    const last = this.#read();
    if (last !== null && isRunning(last.pid)) {
      throw new LockRefusal(
        `Another npm run dev (process ${last.pid}) is using ${folder}. End that one first.`,
      );
    }
    rmSync(this.#path, { force: true });
    const orphan = last?.workerd ?? null;
    try {
      // Until it has ended, the next run must know of it as well.
      writeFileSync(this.#path, content(orphan), { flag: 'wx', mode: 0o600 });
    } catch {
      // Only the `wx` can fail here: another run created the file a moment ago.
      throw new LockRefusal(`Another npm run dev is just starting on ${folder}.`);
    }
    return orphan === null ? null : this.#endOrphan(orphan, folder);
  }

  /** Names our workerd in the lock from the moment it runs; call the result when it does. */
  watchForWorkerd(): () => void {
    const look = () => {
      const workerd = ownWorkerd();
      if (workerd === null) return;
      clearInterval(timer);
      const scratch = `${this.#path}.${process.pid}`;
      writeFileSync(scratch, content(workerd), { mode: 0o600 });
      renameSync(scratch, this.#path);
    };
    const timer = setInterval(look, LOOK_MS);
    return () => {
      clearInterval(timer);
      look();
    };
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }

  async #endOrphan(orphan: RunningProcess, folder: string): Promise<RunningProcess | null> {
    const alive = commandOf(orphan.pid) === orphan.command;
    if (!alive) return null;
    if (isOfThisProject(orphan) && (await end(orphan))) return orphan;
    throw new LockRefusal(
      `Process ${orphan.pid}, left by an earlier npm run dev, still uses ${folder}. End that one first.`,
    );
  }

  /** Anything else than what is written here was cut short by a crash, before there was a workerd. */
  #read(): Content | null {
    if (!existsSync(this.#path)) return null;
    try {
      const { pid, workerd } = JSON.parse(readFileSync(this.#path, 'utf8'));
      return Number.isInteger(pid) && pid > 0 ? { pid, workerd: workerd ?? null } : null;
    } catch {
      // Not JSON: see above.
      return null;
    }
  }
}

/** Short beside the second that workerd takes to start serving. */
const LOOK_MS = 50;

function content(workerd: RunningProcess | null): string {
  return JSON.stringify({ pid: process.pid, workerd });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
