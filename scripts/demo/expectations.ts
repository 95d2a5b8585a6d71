/** What the demo claims, checked as it goes: nothing is printed as true that was not looked at. */
import type { Timeline } from './timeline.ts';

export class Expectations {
  readonly failures: string[] = [];
  held = 0;
  readonly #timeline: Timeline;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  that(condition: boolean, claim: string): void {
    if (condition) this.held++;
    else this.failures.push(claim);
    this.#timeline.verdict(condition, claim);
  }

  fail(reason: string): void {
    this.failures.push(reason);
  }
}
