/** The figures of a change for many devices, as rows and notes of the bench's report. */
import type { FanoutFigures, FanoutSize } from './fanout.ts';
import type { OrderSize } from './orders.ts';
import { decimal, type Figure } from './report.ts';

/** Of what a device costs, at the largest size beside the smallest. Linear is 1; the machine's own speed moves more. */
const LINEAR_MAX = 1.5;

/** CPU where it is known: elapsed time is the machine's other users' too. */
const msOf = ({ cpuMs, elapsedMs, devices }: FanoutSize) => (cpuMs ?? elapsedMs) / devices;
const floorMsOf = ({ floorCpuMs, floorMs, devices }: FanoutSize) => (floorCpuMs ?? floorMs) / devices;

export function fanoutFigures({ sizes }: FanoutFigures): Figure[] {
  const first = sizes[0];
  const last = sizes.at(-1);
  if (first === undefined || last === undefined) return [];
  const row = (name: string, measured: number, floor: number) => ({
    name,
    measured: `${decimal(measured, 2)} ms`,
    floor: `${decimal(floor, 2)} ms`,
    ratio: `${decimal(measured / floor, 2)} ×`,
  });
  const growth = msOf(last) / msOf(first);
  const unit = last.cpuMs === null ? 'time' : 'CPU';
  return [
    ...sizes.map((size) => ({
      ...row(`changed set, ${unit} a device of ${decimal(size.devices, 0)}`, msOf(size), floorMsOf(size)),
      target: '',
      met: null,
    })),
    {
      ...row(
        `… of ${decimal(last.devices, 0)}, beside one of ${decimal(first.devices, 0)}`,
        msOf(last),
        msOf(first),
      ),
      target: `≤ ${LINEAR_MAX} ×`,
      met: growth <= LINEAR_MAX,
    },
  ];
}

/** Design section 8. */
const ORDERS_PER_SECOND = 2000;

export function orderFigures({ orders }: FanoutFigures): Figure[] {
  const [first, last] = [orders[0], orders.at(-1)];
  if (first === undefined || last === undefined) return [];
  const perSecond = ({ devices, elapsedMs }: OrderSize) => (1000 * devices) / elapsedMs;
  const each = ({ cpuMs, elapsedMs, devices }: OrderSize) => (cpuMs ?? elapsedMs) / devices;
  const growth = each(last) / each(first);
  return [
    ...orders.map((size) => ({
      name: `one command ordered for ${decimal(size.devices, 0)} devices`,
      measured: `${decimal(perSecond(size), 0)}/s`,
      floor: '',
      ratio: '',
      target: size === last ? `≥ ${decimal(ORDERS_PER_SECOND, 0)}/s` : '',
      met: size === last ? perSecond(size) >= ORDERS_PER_SECOND : null,
    })),
    {
      name: `… ${last.cpuMs === null ? 'time' : 'CPU'} a device of ${decimal(last.devices, 0)}, beside ${decimal(first.devices, 0)}`,
      measured: `${decimal(each(last), 2)} ms`,
      floor: `${decimal(each(first), 2)} ms`,
      ratio: `${decimal(growth, 2)} ×`,
      target: `≤ ${LINEAR_MAX} ×`,
      met: growth <= LINEAR_MAX,
    },
  ];
}

export function orderNotes({ orders }: FanoutFigures): string[] {
  const last = orders.at(-1);
  if (last === undefined) return [];
  const each = (value: number) => decimal(value / last.devices, 2);
  return [
    `Orders: requests of 500 devices, one after the other, until the last had its answer. A device cost ` +
      `${each(last.statements)} database statements and ${each(last.objectCalls)} object calls.`,
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
    `Changed set: ${sizes.map(({ devices, elapsedMs }) => decimal((1000 * devices) / elapsedMs, 0)).join(', ')} devices ` +
      `a second, until nothing waited and the last was woken; the administrator had the answer after ` +
      `${sizes.map(({ answeredMs }) => decimal(answeredMs, 0)).join(', ')} ms. Of each, ${percent} percent of the ` +
      `shards: ${sizes.map(({ changed }) => decimal(changed, 0)).join(', ')} devices changed, and as many were woken, ` +
      `once each. A device cost ${each(last.statements)} database statements and ${each(last.objectCalls)} object calls.`,
    'Floor: two empty calls to each of as many objects, in an empty Worker.',
    ...(memory.length === 0
      ? []
      : [`Memory of workerd, all local stand-ins in it, before and at its peak: ${memory.join('; ')}.`]),
  ];
}
