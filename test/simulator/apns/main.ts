/**
 * The simulated APNs as a process: `node test/simulator/apns/main.ts FOLDER [--port N] [--control-port N]
 * [--max-streams N]`. FOLDER has, or gets, `ca.pem`, `server.pem`, `server-key.pem`, and for a sender
 * `push.pem` and `push-key.pem` under the topic of `topic.txt`; accepted pushes are noted in `accepted.txt`.
 * One JSON line tells the ports when it is ready.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ApnsAuthority } from './certificates.ts';
import { ApnsControl } from './control.ts';
import { SimulatedApns } from './server.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string' },
    'control-port': { type: 'string' },
    'max-streams': { type: 'string' },
    topic: { type: 'string' },
  },
});
const folder = positionals[0];
if (folder === undefined) throw new Error('which folder?');
const path = (name: string) => join(folder, name);
if (!existsSync(path('ca.pem'))) makeCertificates(folder);
const read = (name: string) => readFileSync(path(name), 'utf8');

const apns = await SimulatedApns.start({
  server: { certificatePem: read('server.pem'), keyPem: read('server-key.pem') },
  caPem: read('ca.pem'),
  port: Number(values.port ?? 0),
  maxConcurrentStreams: Number(values['max-streams'] ?? 1000),
  journal: path('accepted.txt'),
});
const control = await ApnsControl.start(apns, Number(values['control-port'] ?? 0));
console.log(JSON.stringify({ ready: true, port: apns.port, controlUrl: control.url }));

function makeCertificates(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const topic = values.topic ?? 'com.apple.mgmt.External.00000000-0000-4000-8000-000000000000';
  const authority = new ApnsAuthority(Date.now());
  const server = authority.issueServer();
  const push = authority.issuePush({ topic });
  const files = {
    'topic.txt': topic,
    'server.pem': server.certificatePem,
    'server-key.pem': server.keyPem,
    'push.pem': push.certificatePem,
    'push-key.pem': push.keyPem,
    'ca.pem': authority.certificatePem,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path(name), text, { mode: 0o600 });
}
