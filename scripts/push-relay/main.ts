/**
 * `npm run relay`: the push relay as a process. It needs this folder and Node 22.18 or later, and nothing else.
 * SIGTERM or SIGINT stops it when what it took in has been answered for; a second one stops it at once.
 * Exit codes: 0 stopped, 1 stopped at once, 2 settings that cannot work.
 */
import { BadSettings } from './credentials.ts';
import { codeOf, consoleLog } from './log.ts';
import { type Relay, startRelay } from './relay.ts';
import { readSettings, USAGE } from './settings.ts';

if (process.argv.includes('--help')) console.log(USAGE);
else await run();

async function run(): Promise<void> {
  try {
    const settings = readSettings(process.env);
    // So that neither a report of this process nor its children show them.
    for (const name of ['RELAY_KEY', 'RELAY_CERTIFICATE_KEY', 'RELAY_CERTIFICATE_KEY_PASSPHRASE']) {
      delete process.env[name];
    }
    stopOnSignals(await startRelay(settings, consoleLog));
  } catch (error) {
    const known = error instanceof BadSettings;
    console.error(
      known
        ? `${error.message}\nnpm run relay -- --help lists the settings.`
        : `not started: ${codeOf(error)}`,
    );
    process.exit(2);
  }
}

function stopOnSignals(relay: Relay): void {
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) process.exit(1);
    stopping = true;
    consoleLog.event('stopping', { signal });
    await relay.close();
    consoleLog.event('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
}
