/**
 * `npm run demo`: a server of its own in memory, a simulated iPhone and Apple Watch with real keys, the whole way
 * from a one-time link to a locked watch; then the attacks, each of which must be refused. Exits non-zero if
 * anything is not as it should be. Touches nothing that `npm run dev` keeps.
 */
import { createWorld, SimulatedPhone, SimulatedWatch } from '../test/simulator/index.ts';
import { attackAll } from './demo/attacks.ts';
import { describeAdmin, describePlist, describeTrace } from './demo/describe.ts';
import { Expectations } from './demo/expectations.ts';
import type { Stage } from './demo/stage.ts';
import { assignWatchEnrollment, command, enrollPhone, pair } from './demo/story.ts';
import { bold, green, red, Timeline } from './demo/timeline.ts';
import { AdminClient } from './local/admin-client.ts';
import { readCommandLine } from './local/command-line.ts';
import { type Stack, startStack } from './local/stack.ts';

const USAGE = `npm run demo

An iPhone enrolls, a watch pairs to it and is locked; then attacks, each of
which must be refused. A server of its own in memory, simulated devices with
real keys; touches nothing that npm run dev keeps.

  --help

The exit code is 0 when everything was as it should be, and 1 otherwise.`;

readCommandLine(USAGE, {});
const timeline = new Timeline();
const log: string[] = [];
const expect = new Expectations(timeline);
let stack: Stack | undefined;

try {
  stack = await startStack({ onLog: (line) => log.push(line) });
  await play(setStage(stack));
} catch (error) {
  expect.fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  for (const line of log.slice(-10)) console.error(line);
} finally {
  await stack?.stop();
}
conclude();

function setStage(running: Stack): Stage {
  let plist: string | null = null;
  const world = createWorld({
    baseUrl: running.url,
    deviceCa: { certificatePem: running.deviceCa.certificate, keyPem: running.deviceCa.key },
    async send(request) {
      const response = await fetch(request);
      if (response.headers.get('content-type')?.includes('xml')) {
        plist = describePlist(await response.clone().text());
      }
      return response;
    },
    trace: (event) => timeline.step(describeTrace(event, plist)),
  });
  const admin = new AdminClient(running.url, running.adminKey, (exchange) =>
    timeline.step(describeAdmin(exchange)),
  );
  return { stack: running, world, admin, timeline, expect, log };
}

async function play(stage: Stage): Promise<void> {
  const { world } = stage;
  console.log(bold('Escapement: an Apple Watch enters management'));
  console.log(`The server runs at ${world.baseUrl}, in memory, for this demo alone.`);
  console.log('Its trust anchors are SIMULATED; the devices below hold keys made under them.');
  console.log(`Seed ${world.random.seed}`);

  timeline.title('1. The iPhone enrolls by a one-time link');
  const phone = await SimulatedPhone.create(world);
  await enrollPhone(stage, phone);

  timeline.title('2. The administrator assigns watch enrollment; the iPhone learns it by DDM');
  await assignWatchEnrollment(stage, phone);

  timeline.title('3. A watch is paired to the iPhone');
  const watch = await SimulatedWatch.create(world);
  const token = await pair(stage, phone, watch);

  timeline.title('4. The watch answers commands');
  await command(stage, watch);

  timeline.title('5. Attacks');
  await attackAll(stage, { phone, watch, usedToken: token });
}

function conclude(): void {
  const { held, failures } = expect;
  const seconds = (timeline.elapsedMs / 1000).toFixed(1);
  if (failures.length === 0) {
    console.log(`\n${green('✓')} ${bold(`As it should be: ${held} of ${held} checks, ${seconds} s.`)}`);
    return;
  }
  console.log(`\n${red('✗')} ${bold(`${failures.length} not as they should be, ${held} were:`)}`);
  for (const failure of failures) console.log(`  ${failure}`);
  process.exitCode = 1;
}
