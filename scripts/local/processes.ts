/** Processes of this machine by their command lines, from /proc on Linux and from `ps` elsewhere. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './build.ts';

export interface RunningProcess {
  readonly pid: number;
  /** Program and arguments. Of a workerd it names ports of one run, so that no later process has the same. */
  readonly command: string;
}

/** `null` when there is none, and when it has ended but nobody has looked at how. */
export function commandOf(pid: number): string | null {
  try {
    const text =
      process.platform === 'linux'
        ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        : execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
    return text.trim() || null;
  } catch {
    // Both fail when there is no such process.
    return null;
  }
}

/** The workerd that this process started. */
export function ownWorkerd(): RunningProcess | null {
  for (const pid of childrenOf(process.pid)) {
    const command = commandOf(pid);
    if (command !== null && / serve /.test(command) && /workerd/.test(command)) return { pid, command };
  }
  return null;
}

export function isOfThisProject({ command }: RunningProcess): boolean {
  return command.startsWith(`${realpathSync(join(projectRoot, 'node_modules'))}/`) && / serve /.test(command);
}

/** Ends exactly that process, and no other that has its number since; false when it would not go. */
export async function end({ pid, command }: RunningProcess): Promise<boolean> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (commandOf(pid) !== command) return true;
    try {
      process.kill(pid, signal);
    } catch {
      // It ended in between, or belongs to somebody else: the next look tells.
    }
    for (let waitedMs = 0; waitedMs < PATIENCE_MS && commandOf(pid) === command; waitedMs += 50) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return commandOf(pid) !== command;
}

const PATIENCE_MS = 3000;

function childrenOf(parent: number): number[] {
  if (process.platform !== 'linux') {
    const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
    return rows
      .map((row) => row.trim().split(/\s+/).map(Number))
      .flatMap(([pid, of]) => (pid !== undefined && of === parent ? [pid] : []));
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number);
}

function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it, in parentheses, may hold anything.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    // The process ended between the listing and the look.
    return null;
  }
}
