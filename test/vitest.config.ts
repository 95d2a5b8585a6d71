import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

export default defineConfig(async () => ({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: { bindings: { TEST_MIGRATIONS: await readD1Migrations('src/storage/d1/migrations') } },
          }),
        ],
        test: { name: 'workers', root: '.', include: ['test/**/*.test.ts'], exclude: ['test/repo/**'] },
      },
      { test: { name: 'repo', environment: 'node', include: ['test/repo/**/*.test.ts'] } },
    ],
  },
}));
