/**
 * Counts a vitest run for `npm test` and writes the count where TEST_COUNT_FILE says. A file that does not load
 * and an error outside any test count as one failure each: neither may pass for zero failures. What a test wants in
 * the output of every run, it leaves as lines in `task.meta.printed`: a console's are shown of failed tests only.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

export interface TestCount {
  passed: number;
  failed: number;
  /** Names of skipped tests, with the reason where the test gave one. */
  skipped: string[];
  /** What tests want printed, in the order of their files. */
  printed: string[];
}

declare module 'vitest' {
  interface TaskMeta {
    printed?: string[];
  }
}

export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count: TestCount = { passed: 0, failed: unhandled.length, skipped: [], printed: [] };
    for (const module of modules) {
      const failedBefore = count.failed;
      for (const test of module.children.allTests()) {
        const result = test.result();
        count.printed.push(...(test.meta().printed ?? []));
        if (result.state === 'passed') count.passed++;
        else if (result.state === 'failed') count.failed++;
        else
          count.skipped.push(
            describe(module, test.fullName, result.state === 'skipped' ? result.note : undefined),
          );
      }
      if (!module.ok() && count.failed === failedBefore) count.failed++;
    }
    writeFileSync(process.env['TEST_COUNT_FILE'] ?? 'test-count.json', JSON.stringify(count));
  }
}

function describe(module: TestModule, name: string, note: string | undefined): string {
  return `${module.relativeModuleId}: ${name}${note === undefined ? '' : ` (${note})`}`;
}
