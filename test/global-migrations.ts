/**
 * Every test file in workerd starts with a migrated, empty database, and ends when no object is at work: an alarm under
 * way when a file is taken down waits for a module that never comes, and the run with it.
 */

import { applyD1Migrations, listDurableObjectIds, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, vi } from 'vitest';

await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);

afterAll(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  // What tells its outbox now is waited for; nobody begins anew.
  for (const id of await listDurableObjectIds(env.DEVICE)) await env.DEVICE.get(id).flush();
  for (const namespace of [env.DEVICE, env.PAIRING, env.ISSUANCE]) {
    for (const id of await listDurableObjectIds(namespace as DurableObjectNamespace)) {
      const stub = namespace.get(id as never) as DurableObjectStub;
      await runInDurableObject(stub, (_object, { storage }) => storage.deleteAlarm());
    }
  }
});
