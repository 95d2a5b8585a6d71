/**
 * `npm run bench [-- --json] [--quick] [--poll | --fanout]`: raw workerd, each figure beside its floor from the same run (design
 * section 8). Devices are enrolled by the simulator; nothing here imitates a request that it did not make.
 */
import { availableParallelism, cpus } from 'node:os';
import { benchCompute, type ComputeFigures } from './bench/compute.ts';
import { benchFanout, type FanoutFigures } from './bench/fanout.ts';
import { fanoutFigures, fanoutNotes, orderFigures, orderNotes } from './bench/fanout-report.ts';
import { benchWorld, enrollPhones } from './bench/fleet.ts';
import { benchStorage, type StorageFigures } from './bench/floor.ts';
import { benchHandshake, type HandshakeFigures } from './bench/handshake.ts';
import { benchPoll, type PollFigures, PROOF_POLLS, proveIdle } from './bench/poll.ts';
import { withItsWorkerd } from './bench/process.ts';
import { decimal, type Figure, printTable } from './bench/report.ts';
import { benchStartup, type StartupFigures } from './bench/startup.ts';
import { benchVerify, type VerifyFigures } from './bench/verify.ts';
import { buildWorker } from './local/build.ts';
import { readCommandLine } from './local/command-line.ts';
import { generateSecrets } from './local/secrets.ts';
import { startStack } from './local/stack.ts';

const USAGE = `npm run bench -- [options]

Raw workerd on this machine: signatures, idle polls, handshakes, start-up, and a
change and a command for many devices, each figure beside its floor from the
same run.

  --quick    fewer devices and shorter rounds
  --poll     idle polls and a long history alone
  --fanout   the change and the command for many devices alone
  --json     figures alone, as JSON, on standard output
  --help`;

const options = readCommandLine(USAGE, {
  json: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  poll: { type: 'boolean', default: false },
  fanout: { type: 'boolean', default: false },
});
const size = options.quick
  ? {
      devices: 20,
      rounds: 2,
      roundMs: 1000,
      handshakes: 10,
      history: 200,
      deliveries: 40,
      fanout: [250, 1000],
    }
  : {
      devices: 64,
      rounds: 5,
      roundMs: 3000,
      handshakes: 50,
      history: 10_000,
      deliveries: 400,
      fanout: [1250, 2500, 5000, 10_000],
    };

interface Figures {
  readonly machine: string;
  readonly verify: VerifyFigures;
  readonly poll: PollFigures;
  readonly handshake: HandshakeFigures;
  readonly compute: ComputeFigures;
  readonly storage: StorageFigures | null;
  readonly startup: StartupFigures;
  readonly fanout: FanoutFigures;
}

const say = (text: string) => options.json || console.error(text);

if (options.fanout) report(await benchFanout(size.fanout, say), printFanout);
else if (options.poll) report(await measurePolls(), printPolls);
else report(await measure(), print);

function report<T>(figures: T, show: (figures: T) => void): void {
  if (options.json) console.log(JSON.stringify(figures, null, 2));
  else show(figures);
}

async function measure(): Promise<Figures> {
  say('signatures …');
  const verify = await benchVerify((await generateSecrets()).ca);
  say('start-up …');
  const startup = await benchStartup();
  const { compatibilityDate } = await buildWorker();
  const storage = await benchStorage(compatibilityDate);
  say('a change for many devices …');
  const fanout = await benchFanout(size.fanout, say);
  say('what an idle poll touches …');
  const idle = await proveIdle();
  const started = await withItsWorkerd(() => startStack({ direct: true }));
  const stack = started.value;
  try {
    const world = benchWorld(stack);
    say(`${size.devices} devices enroll …`);
    const running = {
      stack,
      world,
      phones: await enrollPhones(stack, world, size.devices),
      pid: started.pid,
    };
    say(`${size.handshakes} watches pair …`);
    const { handshake, recorded } = await benchHandshake(running, size.handshakes);
    const { names, recordings } = recorded;
    const compute = await benchCompute(names, recordings, { publicUrl: stack.url, secrets: stack });
    say('idle polls …');
    const poll = { ...(await benchPoll(running, size)), ...idle };
    return { machine: machine(), verify, poll, handshake, compute, storage, startup, fanout };
  } finally {
    await stack.stop();
  }
}

async function measurePolls(): Promise<PollFigures> {
  const idle = await proveIdle();
  const { value: stack, pid } = await withItsWorkerd(() => startStack({ direct: true }));
  try {
    const world = benchWorld(stack);
    say(`${size.devices} devices enroll …`);
    const phones = await enrollPhones(stack, world, size.devices);
    say('idle polls …');
    return { ...(await benchPoll({ stack, world, phones, pid }, size)), ...idle };
  } finally {
    await stack.stop();
  }
}

function machine(): string {
  return `${cpus()[0]?.model ?? process.arch}, ${availableParallelism()} cores, ${process.platform}`;
}

function printFanout(fanout: FanoutFigures): void {
  console.log(`\n${machine()}\n`);
  printTable([...fanoutFigures(fanout), ...orderFigures(fanout)]);
  console.log([...fanoutNotes(fanout), ...orderNotes(fanout)].join('\n'));
}

function printPolls(poll: PollFigures): void {
  console.log(`\n${machine()}\n`);
  printTable(pollFigures(poll));
}

function print(all: Figures): void {
  const { verify, poll, handshake, compute, storage, startup, fanout } = all;
  const figures: Figure[] = Object.entries(verify).map(([name, { ours, floor, ratio }]) => ({
    name: `Mdm-Signature, ${name}`,
    measured: `${decimal(ours)} µs`,
    floor: `${decimal(floor)} µs`,
    ratio: `${decimal(ratio, 2)} ×`,
    target: '≤ 2 ×',
    met: ratio <= 2,
  }));
  figures.push(
    ...pollFigures(poll),
    ...handshakeFigures(handshake, compute),
    {
      name: 'loading the Worker',
      measured: `${decimal(startup.loadMs)} ms`,
      floor: `${decimal(startup.emptyMs)} ms`,
      ratio: '',
      target: '≤ 50 ms',
      met: startup.loadMs <= 50,
    },
    {
      name: 'bundle, gzipped',
      measured: `${decimal(startup.gzipBytes / 1024, 0)} KiB`,
      floor: '',
      ratio: '',
      target: '≤ 1,024 KiB',
      met: startup.gzipBytes <= 1024 * 1024,
    },
    ...fanoutFigures(fanout),
    ...orderFigures(fanout),
  );
  console.log(`\n${all.machine}\n`);
  printTable(figures);
  console.log([...notes(poll, handshake, storage), ...fanoutNotes(fanout), ...orderNotes(fanout)].join('\n'));
}

function pollFigures({ fresh, history, delivery }: PollFigures): Figure[] {
  const perSecond = (value: number) => `${decimal(value, 0)}/s`;
  const percent = (value: number) => `${decimal(100 * value, 0)} %`;
  return [
    {
      name: 'idle poll',
      measured: perSecond(fresh.ours),
      floor: perSecond(fresh.floor),
      ratio: percent(fresh.ratio),
      target: '≥ 50 %',
      met: fresh.ratio >= 0.5,
    },
    {
      name: `… of a device that answered ${decimal(history.answered, 0)} commands, beside one without`,
      measured: perSecond(history.with),
      floor: perSecond(history.without),
      ratio: percent(history.ratio),
      target: '≥ 95 %',
      met: history.ratio >= 0.95,
    },
    {
      name: '… of the same two, a command delivered and answered',
      measured: `${decimal(delivery.with, 2)} ms`,
      floor: `${decimal(delivery.without, 2)} ms`,
      ratio: `${decimal(delivery.ratio, 2)} ×`,
      target: '',
      met: null,
    },
  ];
}

function handshakeFigures({ cpuMs }: HandshakeFigures, compute: ComputeFigures): Figure[] {
  const { steps, sumMicros, signMicros } = compute;
  const row = (name: string, micros: number, judged: boolean): Figure => ({
    name,
    measured: `${decimal(micros / 1000, 2)} ms`,
    floor: `${decimal(signMicros / 1000, 2)} ms`,
    ratio: `${decimal(micros / signMicros, 1)} ×`,
    target: judged ? '≤ 10 ×' : '',
    met: judged ? sumMicros <= 10 * signMicros : null,
  });
  return [
    row("watch handshake, the server's own computing", sumMicros, true),
    ...steps.map(({ name, micros }) => row(`… ${name}`, micros, false)),
    ...(cpuMs === null
      ? []
      : [row('… all that workerd does, stand-ins for storage too', 1000 * cpuMs, false)]),
  ];
}

function notes(poll: PollFigures, handshake: HandshakeFigures, storage: StorageFigures | null): string[] {
  return [
    '',
    'Floors: bare subtle.verify over the same bytes; an empty Worker that calls one object;',
    'one RSA-2048 signature; an empty module.',
    `Polls: ${size.devices} devices, 32 connections, medians of ${size.rounds} alternate rounds, ` +
      (poll.pinned ? 'workerd on one core and the generator on another;' : 'processes not pinned;'),
    `latency ${decimal(poll.fresh.p50Ms)} ms median, ${decimal(poll.fresh.p99Ms)} ms at the 99th percentile.`,
    `${PROOF_POLLS} idle polls made ${poll.statements} database statements and changed ${poll.rowsWritten} rows.`,
    `Handshake: medians of requests that the isolate had not seen, from devices new to it, storage answering from`,
    `memory. With storage, one creates ${decimal(handshake.newObjects)} objects and makes ` +
      `${decimal(handshake.storage.statements)} database statements in ${decimal(handshake.storage.calls)} calls, ` +
      'the records that follow it included.',
    ...(storage === null
      ? []
      : [
          `Here, in an empty Worker, a new object with ten tables costs ${decimal(storage.newObjectMs)} ms of CPU and ` +
            `a statement ${decimal(storage.statementMs)} ms.`,
        ]),
  ];
}
