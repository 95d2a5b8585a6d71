/**
 * Every test file in workerd starts with a migrated, empty database. The Worker's log is not printed: the runner waits
 * at the end for each line to be received, and one that an object wrote after the last test is never sent.
 */

import { applyD1Migrations } from 'cloudflare:test';
import { env } from 'cloudflare:workers';

await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);

const print = console.log;
console.log = (...parts: unknown[]) => {
  if (!String(parts[0]).startsWith('{"event":')) print(...parts);
};
