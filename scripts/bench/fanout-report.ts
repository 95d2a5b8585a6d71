/** The figures of a change for many devices, as rows and notes of the bench's report. */
import type { FanoutFigures, FanoutSize } from './fanout.ts';
import { decimal, type Figure } from './report.ts';

/** Of the time a device, at the largest size beside the smallest. Linear is 1; the machine's own speed moves more. */
const LINEAR_MAX = 1.5;

const microsOf = ({ elapsedMs, devices }: FanoutSize) => (1000 * elapsedMs) / devices;

export function fanoutFigures({ sizes }: FanoutFigures): Figure[] {
  const first = sizes[0];
  const last = sizes.at(-1);
  if (first === undefined || last === undefined) return [];
  const growth = microsOf(last) / microsOf(first);
  return [
    ...sizes.map((size) => ({
      name: `change of a set that ${decimal(size.devices, 0)} devices have, a device`,
      measured: `${decimal(microsOf(size) / 1000, 2)} ms`,
      floor: `${decimal(size.floorMs / size.devices, 2)} ms`,
      ratio: `${decimal(size.elapsedMs / size.floorMs, 1)} ×`,
      target: '',
      met: null,
    })),
    {
      name: `… with ${decimal(last.devices, 0)} devices, beside ${decimal(first.devices, 0)}`,
      measured: `${decimal(microsOf(last) / 1000, 2)} ms`,
      floor: `${decimal(microsOf(first) / 1000, 2)} ms`,
      ratio: `${decimal(growth, 2)} ×`,
      target: `≤ ${LINEAR_MAX} ×`,
      met: growth <= LINEAR_MAX,
    },
  ];
}

export function fanoutNotes({ percent, sizes }: FanoutFigures): string[] {
  const last = sizes.at(-1);
  if (last === undefined) return [];
  const each = (value: number) => decimal(value / last.devices, 2);
  const memory = sizes.flatMap(({ devices, memory: of }) =>
    of === null
      ? []
      : [`${decimal(devices, 0)}: ${decimal(of.beforeMiB, 0)} → ${decimal(of.peakMiB, 0)} MiB`],
  );
  return [
    `Change of a set: ${decimal((1000 * last.devices) / last.elapsedMs, 0)} devices a second at the largest size, ` +
      `until nothing waited and the last was woken; the administrator had the answer after ` +
      `${sizes.map(({ answeredMs }) => decimal(answeredMs, 0)).join(', ')} ms. Of each, ${percent} percent of the ` +
      `shards: ${sizes.map(({ changed }) => decimal(changed, 0)).join(', ')} devices changed, and as many were woken, ` +
      `once each. A device cost ${each(last.statements)} database statements and ${each(last.objectCalls)} object calls.`,
    'Floor: two empty calls to each of as many objects, in an empty Worker.',
    ...(memory.length === 0
      ? []
      : [`Memory of workerd, all local stand-ins in it, before and at its peak: ${memory.join('; ')}.`]),
  ];
}
