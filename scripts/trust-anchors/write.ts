/** The file that a deployment takes its trust anchors from: replaced in one step, or not at all. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fetchAnchors, judgeAnchors, type PublishedAnchors } from './anchors.ts';

export interface Written {
  readonly names: readonly string[];
  readonly digests: readonly string[];
  readonly changed: boolean;
}

/** Throws `AnchorRefusal` before anything is written. */
export async function writeAnchors(path: string, published: PublishedAnchors): Promise<Written> {
  const pem = await fetchAnchors(published);
  const anchors = await judgeAnchors(pem, published.pins);
  const changed = !existsSync(path) || readFileSync(path, 'utf8') !== pem;
  if (changed) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, pem);
    renameSync(`${path}.new`, path);
  }
  return {
    names: anchors.map(({ name }) => name),
    digests: anchors.map(({ certificateDigest }) => certificateDigest),
    changed,
  };
}
