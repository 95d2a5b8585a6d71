/**
 * `npm run trust-anchors`: Apple's published roots, fetched and checked against the pinned fingerprints, for
 * `npm run deploy`. Offline it says so and changes nothing.
 */
import { join } from 'node:path';
import { localFolder } from './local/build.ts';
import { leaveBadUsage, readCommandLine } from './local/command-line.ts';
import { AnchorRefusal, APPLE } from './trust-anchors/anchors.ts';
import { writeAnchors } from './trust-anchors/write.ts';

const USAGE = `npm run trust-anchors -- [options]

Fetches the roots that Apple publishes for its devices and checks them against
the fingerprints in src/pki/apple-anchors.ts. Only what fits is written.

  --out FILE    default: .escapement/deploy/device-anchors.pem
  --from URL    another place that has Apple Root CA, for a machine that does
                not reach apple.com; the fingerprint is checked all the same
  --help`;

const options = readCommandLine(USAGE, { out: { type: 'string' }, from: { type: 'string' } });
if (options.from !== undefined && !URL.canParse(options.from)) leaveBadUsage(USAGE, '--from is not a URL');
const path = options.out ?? join(localFolder, 'deploy', 'device-anchors.pem');
const [root] = APPLE.sources;
const sources =
  options.from === undefined || root === undefined ? APPLE.sources : [{ ...root, url: options.from }];

try {
  const { names, digests, changed } = await writeAnchors(path, { ...APPLE, sources });
  for (const [n, name] of names.entries()) console.log(`${name}\n  SHA-256 ${digests[n]}, as published`);
  console.log(changed ? `written to ${path}` : `${path} has them already`);
} catch (error) {
  if (!(error instanceof AnchorRefusal)) throw error;
  console.error(`${error.message}. Nothing was changed.`);
  if (error.offline) console.error('This needs the network once: run it where apple.com can be reached.');
  process.exitCode = 1;
}
