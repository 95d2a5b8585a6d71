/** Versions as Apple writes them, `26.4` or `10.0.1`: compared number by number, so 10.10 is later than 10.9. */

/** Below 0 when `a` is earlier. Parts that are missing are 0; what follows the numbers (`beta 2`) does not count. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether a version can be compared at all: a device may report anything. */
export function isVersion(text: string): boolean {
  return /^\d{1,6}(\.\d{1,6}){0,3}(?![\d.])/.test(text);
}

function numbers(version: string): number[] {
  return (/^[\d.]*/.exec(version)?.[0] ?? '').split('.').map(Number);
}
