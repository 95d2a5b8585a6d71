/** A deployment seen from where its devices are: everything that can be told without the account. */
import { bad, type Finding } from './finding.ts';
import { judgeAdministration } from './inside.ts';
import { judgeClock, judgeTls, reach } from './reach.ts';
import { judgeAuthority, judgeDoors, judgeHealth, judgeTokenKeys } from './served.ts';

export interface Patient {
  readonly url: string;
  readonly adminKey: string | null;
  /** How long a new deployment is given to come up. */
  readonly patienceMs: number;
}

export async function examine({ url, adminKey, patienceMs }: Patient): Promise<readonly Finding[]> {
  const reached = await reach(url, patienceMs);
  if (!reached.ok) return [reached.finding];
  const nowMs = Date.now();
  const health = await judgeHealth(reached.health);
  const first = [reached.finding, judgeClock(reached.health, nowMs), await judgeTls(url, nowMs), ...health];
  // A Worker with a broken configuration answers 503 to everything; what else it would say is the same again.
  if (health.some(({ level }) => level === 'bad')) return first;
  try {
    return [
      ...first,
      ...(await judgeAuthority(url, nowMs)),
      await judgeTokenKeys(url),
      await judgeDoors(url),
      ...(await judgeAdministration(url, adminKey)),
    ];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [...first, bad('reachability', `the connection was lost (${reason})`, 'Ask again.')];
  }
}
