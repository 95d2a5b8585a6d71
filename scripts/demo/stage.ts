/** What every scene of the demo has at hand. */
import type { World } from '../../test/simulator/index.ts';
import type { AdminClient, Json } from '../local/admin-client.ts';
import type { Stack } from '../local/stack.ts';
import type { Expectations } from './expectations.ts';
import type { Timeline } from './timeline.ts';

export interface Stage {
  readonly stack: Stack;
  readonly world: World;
  readonly admin: AdminClient;
  readonly timeline: Timeline;
  readonly expect: Expectations;
  /** What the Worker logged, newest last. */
  readonly log: readonly string[];
}

export function itemsOf(value: Json, name = 'items'): Json[] {
  return Array.isArray(value[name]) ? (value[name] as Json[]) : [];
}
