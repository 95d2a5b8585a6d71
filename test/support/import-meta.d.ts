/** What Vite resolves when it builds a test file: the files that match, by path. */
interface ImportMeta {
  glob(pattern: string): Record<string, unknown>;
}
