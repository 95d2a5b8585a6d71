/** A deployment's timeline: the first entry and the latest ones, so that no device fills a row by changing its mind. */
import type { TimelineEntry } from './machine.ts';

/** Three attempts on two sides with every word of the catalog are some 60. */
export const TIMELINE_MAX = 64;
export const DETAIL_CHARS_MAX = 256;

export function withEntry(
  timeline: readonly TimelineEntry[],
  entry: TimelineEntry | null,
): readonly TimelineEntry[] {
  if (entry === null) return timeline;
  const { detail } = entry;
  const bounded = detail === undefined ? entry : { ...entry, detail: detail.slice(0, DETAIL_CHARS_MAX) };
  const all = [...timeline, bounded];
  return all.length <= TIMELINE_MAX ? all : [...all.slice(0, 1), ...all.slice(2)];
}
