/**
 * `npm run simulate -- --server URL [--seed N] [--watches N] [--mischief] [--stay]`: simulated devices against a
 * server that is already running, over HTTP, with a timeline of every exchange. `--help` lists the options.
 */
import {
  createWorld,
  KeyPool,
  type SimulatedPhone,
  type SimulatedWatch,
  type TraceEvent,
  type World,
  withMischief,
} from '../test/simulator/index.ts';
import { describeTrace } from './demo/describe.ts';
import { bold, green, red, Timeline } from './demo/timeline.ts';
import { AdminClient } from './local/admin-client.ts';
import { BadOptions, readOptions, type SimulateOptions, USAGE } from './simulate/options.ts';
import { stay } from './simulate/stay.ts';
import { assignWatchEnrollment, commandWatch, enrollPhone, pairWatch, type Story } from './simulate/story.ts';

/** How often a person would start over, or open the phone again, before calling somebody. */
const TRIES = 10;

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') console.log(USAGE);
  else await run(options);
} catch (error) {
  if (!(error instanceof BadOptions)) throw error;
  console.error(`${error.message}\nnpm run simulate -- --help lists the options.`);
  process.exitCode = 2;
}

async function run(options: SimulateOptions): Promise<void> {
  const timeline = new Timeline();
  let isTold = true;
  const world = createWorld({
    baseUrl: options.server,
    deviceCa: options.deviceCa,
    keys: new KeyPool(),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    trace: (event: TraceEvent) => isTold && timeline.step(describeTrace(event)),
  });
  console.log(bold(`Simulated devices against ${options.server}`));
  console.log(`Seed ${world.random.seed}${options.mischief ? ', with mischief' : ''}`);
  const failures: string[] = [];
  const story: Story = {
    admin: new AdminClient(options.server, options.adminKey),
    tries: options.mischief ? TRIES : 2,
    note: (text) => timeline.note(text),
    check: (good, text) => {
      timeline.verdict(good, text);
      if (!good) failures.push(text);
    },
  };
  let played: Played | null = null;
  try {
    played = await play(options, story, timeline, world);
  } catch (error) {
    failures.push(explain(error, options.server));
  }
  conclude(failures, timeline, world);
  isTold = false;
  if (options.stay !== null && played !== null) await remain(options.stay, story, played);
}

interface Played {
  readonly phone: SimulatedPhone;
  readonly watches: readonly SimulatedWatch[];
}

async function remain(
  how: NonNullable<SimulateOptions['stay']>,
  { admin }: Story,
  { phone, watches }: Played,
): Promise<void> {
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());
  console.log(`\n${bold('They stay, and connect every')} ${how.everyMs / 1000} s. Ctrl-C ends them.`);
  for (const device of [phone, ...watches]) console.log(`  ${device.name} ${device.udid} ${device.serial}`);
  await stay({ ...how, admin, phone, watches, say: (line) => console.log(line) }, ended.signal);
}

async function play(
  options: SimulateOptions,
  story: Story,
  timeline: Timeline,
  world: World,
): Promise<Played> {
  const inWorld = () => (options.mischief ? withMischief(world) : world);
  timeline.title('The iPhone enrolls by a one-time link');
  const phone = await enrollPhone(story, inWorld());
  timeline.title('It learns of watch enrollment');
  await assignWatchEnrollment(story, phone);
  const names = Array.from({ length: options.watches }, (_, at) =>
    options.watches === 1 ? 'Watch' : `Watch ${at + 1}`,
  );
  timeline.title(options.watches === 1 ? 'A watch pairs' : `${options.watches} watches pair`);
  const watches = await each(names, options.mischief, (name) => pairWatch(story, inWorld(), phone, name));
  timeline.title('Commands');
  await each(watches, options.mischief, (watch) => commandWatch(story, watch));
  return { phone, watches };
}

/** One after the other, or all at once. */
async function each<T, R>(
  items: readonly T[],
  together: boolean,
  step: (item: T) => Promise<R>,
): Promise<R[]> {
  if (together) return Promise.all(items.map(step));
  const results: R[] = [];
  for (const item of items) results.push(await step(item));
  return results;
}

function explain(error: unknown, server: string): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error.cause as { code?: string } | undefined)?.code;
  return error.message === 'fetch failed'
    ? `${server} cannot be reached (${code ?? 'no reason given'})`
    : error.message;
}

function conclude(failures: readonly string[], timeline: Timeline, world: World): void {
  const seconds = (timeline.elapsedMs / 1000).toFixed(1);
  if (failures.length === 0) {
    console.log(
      `\n${green('✓')} ${bold(`Everything as it should be, ${seconds} s. Seed ${world.random.seed}`)}`,
    );
    return;
  }
  console.log(`\n${red('✗')} ${bold(`Not as it should be. Seed ${world.random.seed}`)}`);
  for (const failure of failures) console.log(`  ${failure}`);
  process.exitCode = 1;
}
