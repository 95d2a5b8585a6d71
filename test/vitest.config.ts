/**
 * Two projects: `workers` runs inside workerd with the bindings of `wrangler.toml`, a migrated database and the
 * local secrets; `repo` runs in Node for what looks at the tree or needs other programs. Nothing that a test's
 * Worker fetches leaves this machine.
 */
import { join } from 'node:path';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { localFolder } from '../scripts/local/build.ts';
import { loadSecrets, workerSecrets } from '../scripts/local/secrets.ts';

export default defineConfig(async () => {
  const secrets = await loadSecrets(join(localFolder, 'test', 'keys'));
  const bindings = workerSecrets(secrets);
  // Wrangler warns of each required secret that it finds neither in a file nor here.
  Object.assign(process.env, bindings, { WRANGLER_LOG: process.env.WRANGLER_LOG ?? 'warn' });
  return {
    test: {
      projects: [
        {
          plugins: [
            cloudflareTest({
              wrangler: { configPath: './wrangler.toml' },
              miniflare: {
                cf: false,
                // Nothing consumes it: a message under way when a file ends would keep the run from ending.
                queueProducers: { FANOUT: 'escapement-fanout-unconsumed' },
                bindings: {
                  ...bindings,
                  ENVIRONMENT: 'local',
                  TEST_MIGRATIONS: await readD1Migrations('src/storage/d1/migrations'),
                  TEST_DEVICE_CA: { ...secrets.deviceCa },
                  TEST_ATTESTATION_CA: { ...secrets.attestationCa },
                },
                outboundService: () => new Response('tests do not reach out', { status: 599 }),
              },
            }),
          ],
          test: {
            name: 'workers',
            root: '.',
            include: ['test/**/*.test.ts'],
            exclude: ['test/repo/**'],
            setupFiles: ['test/global-migrations.ts'],
            testTimeout: 30_000,
          },
        },
        {
          test: {
            name: 'repo',
            environment: 'node',
            include: ['test/repo/**/*.test.ts'],
            testTimeout: 60_000,
            hookTimeout: 60_000,
          },
        },
      ],
    },
  };
});
