/** The findings as lines; what is wrong has its fix below it. */
import type { Finding } from './finding.ts';

const MARKS = { ok: 'ok     ', warning: 'WARNING', bad: 'BAD    ', skipped: 'skipped' } as const;

/** The exit code: 0 when nothing is bad. */
export function printReport(url: string, findings: readonly Finding[], tell: (line: string) => void): 0 | 1 {
  tell(`Doctor: ${url}`);
  for (const { area, level, says, fix } of findings) {
    tell(`${MARKS[level]}  ${area}: ${says}`);
    if (fix !== undefined) tell(`         fix: ${fix}`);
  }
  const count = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  tell(
    `${count('ok')} well, ${count('warning')} warnings, ${count('bad')} bad, ${count('skipped')} not looked at`,
  );
  return count('bad') > 0 ? 1 : 0;
}
