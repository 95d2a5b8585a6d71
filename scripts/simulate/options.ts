/** What `npm run simulate` was asked to do, with the rest taken from `.escapement/dev.json`. */
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import type { DeviceCa } from '../../test/simulator/index.ts';
import { localFolder, projectRoot } from '../local/build.ts';

export const USAGE = `npm run simulate -- [options]

An iPhone enrolls, gets watch enrollment, and watches pair to it and answer
commands: simulated devices with real keys, over HTTP, against a server that
is already running.

  --server URL           default: what npm run dev serves
  --admin-key KEY        default: that of npm run dev
  --device-ca FILE       PEM certificate of the simulated Apple device CA,
  --device-ca-key FILE   and its key; default: those of npm run dev
  --seed N               the same devices and the same mischief again
  --watches N            1 to 50, default 1
  --mischief             lost and repeated messages, NotNow, resent results,
                         all watches pairing at once
  --stay                 afterwards the devices stay, connect every few seconds
                         and answer what you order, until Ctrl-C
  --every N              seconds between their connections, default 3
  --defer N              of each command, NotNow so many times
  --refuse-apps          their users want no apps
  --help

The exit code is 0 when everything was as it should be, 1 when something was
not, 2 when the options make no sense.`;

export class BadOptions extends Error {}

export interface SimulateOptions {
  readonly server: string;
  readonly adminKey: string;
  readonly deviceCa: DeviceCa;
  readonly seed: number | undefined;
  readonly watches: number;
  readonly mischief: boolean;
  /** Null when they go after their story. */
  readonly stay: {
    readonly everyMs: number;
    readonly defers: number;
    readonly refusesApps: boolean;
  } | null;
}

const WATCHES_MAX = 50;
const EVERY_SECONDS_MAX = 3600;
const DEFERS_MAX = 100;

export function readOptions(args: readonly string[]): SimulateOptions | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  const stay = readStay(values);
  const dev = readDev();
  const missing = (option: string) =>
    new BadOptions(`There is no ${option} and no .escapement/dev.json: is npm run dev running?`);
  const server = values.server ?? dev?.url;
  if (server === undefined) throw missing('--server');
  if (!/^https?:$/.test(URL.canParse(server) ? new URL(server).protocol : '')) {
    throw new BadOptions(`--server ${server} is not an http or https URL.`);
  }
  const adminKey = values['admin-key'] ?? dev?.adminKey;
  if (adminKey === undefined) throw missing('--admin-key');
  const certificate = values['device-ca'] ?? fromRoot(dev?.deviceCa.certificate);
  const key = values['device-ca-key'] ?? fromRoot(dev?.deviceCa.key);
  if (certificate === undefined || key === undefined) throw missing('--device-ca and --device-ca-key');
  return {
    server: server.replace(/\/+$/, ''),
    adminKey,
    deviceCa: {
      certificatePem: readPem(certificate, 'CERTIFICATE'),
      keyPem: readPem(key, 'PRIVATE KEY'),
    },
    seed: values.seed === undefined ? undefined : wholeNumber('--seed', values.seed, 0, 2 ** 32 - 1),
    watches: values.watches === undefined ? 1 : wholeNumber('--watches', values.watches, 1, WATCHES_MAX),
    mischief: values.mischief ?? false,
    stay,
  };
}

function readStay(values: ReturnType<typeof parse>): SimulateOptions['stay'] {
  if (values.stay !== true) {
    const alone = ['every', 'defer', 'refuse-apps'].find((name) => Object.hasOwn(values, name));
    if (alone !== undefined) throw new BadOptions(`--${alone} goes with --stay.`);
    return null;
  }
  return {
    everyMs: 1000 * wholeNumber('--every', values.every ?? '3', 1, EVERY_SECONDS_MAX),
    defers: wholeNumber('--defer', values.defer ?? '0', 0, DEFERS_MAX),
    refusesApps: values['refuse-apps'] ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        server: { type: 'string' },
        'admin-key': { type: 'string' },
        'device-ca': { type: 'string' },
        'device-ca-key': { type: 'string' },
        seed: { type: 'string' },
        watches: { type: 'string' },
        mischief: { type: 'boolean' },
        stay: { type: 'boolean' },
        every: { type: 'string' },
        defer: { type: 'string' },
        'refuse-apps': { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new BadOptions(error instanceof Error ? error.message : String(error));
  }
}

interface Dev {
  readonly url: string;
  readonly adminKey: string;
  readonly deviceCa: { readonly certificate: string; readonly key: string };
}

function readDev(): Dev | null {
  const path = join(localFolder, 'dev.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Dev) : null;
}

function fromRoot(path: string | undefined): string | undefined {
  return path === undefined ? undefined : join(projectRoot, path);
}

function readPem(path: string, label: string): string {
  if (!existsSync(path)) throw new BadOptions(`${relative(process.cwd(), path)} does not exist.`);
  const text = readFileSync(path, 'utf8');
  if (!text.includes(`-----BEGIN ${label}-----`)) {
    throw new BadOptions(`${relative(process.cwd(), path)} holds no ${label} in PEM.`);
  }
  return text;
}

function wholeNumber(option: string, text: string, from: number, to: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < from || value > to) {
    throw new BadOptions(`${option} ${text} is not a whole number from ${from} to ${to}.`);
  }
  return value;
}
