/** `npm run doctor`: looks a deployment over from outside, and says what to do about what it finds. */
import { examine } from './doctor/examine.ts';
import { printReport } from './doctor/report.ts';
import { leaveBadUsage, readCommandLine } from './local/command-line.ts';

const USAGE = `npm run doctor -- --url ORIGIN

Looks a deployment over, as its devices and administrators meet it: reachability,
clock, configuration, certificates, and the way of a push. Changes nothing.

  --url ORIGIN   https://…, the PUBLIC_URL
  --help

ESCAPEMENT_ADMIN_KEY: the administrator key; without it the API and pushes are
not looked at. Exit code 1 when something is bad.`;

const options = readCommandLine(USAGE, { url: { type: 'string' } });
const url = options.url?.replace(/\/$/, '') ?? '';
if (!URL.canParse(url) || new URL(url).origin !== url)
  leaveBadUsage(USAGE, '--url is an origin, https://host');

const adminKey = process.env['ESCAPEMENT_ADMIN_KEY'] || null;
const findings = await examine({ url, adminKey, patienceMs: 0 });
process.exitCode = printReport(url, findings, (line) => console.log(line));
