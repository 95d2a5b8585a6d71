/**
 * The commands of a deployment (facts 12): InstallApplication for install and update alike, RemoveApplication, and
 * ManagedApplicationList for the one app. `Identifier` is that of the device's own app: the watch's on the watch.
 */
import { type ContentProblem, validate } from '../../protocol/catalog/validate.ts';
import { type JsonObject, jsonToPlist } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import { Fault } from '../../std/outcome.ts';
import {
  type AppInput,
  type AppSource,
  type InstallOptions,
  optionsOf,
  PLATFORM_OF,
  type Side,
  sourceOf,
} from './app.ts';

/** What the source and the server say; the rest is the administrator's. */
const OWN_KEYS: ReadonlySet<string> = new Set(['RequestType', 'iTunesStoreID', 'Identifier', 'ManifestURL']);

/** `manifestUrl` is where the manifest of an uploaded package is; null where only the form is judged. */
export function installApplication(
  source: AppSource,
  options: InstallOptions,
  manifestUrl: string | null,
): JsonObject {
  return { RequestType: 'InstallApplication', ...sourceKeys(source, manifestUrl), ...options };
}

function sourceKeys(source: AppSource, manifestUrl: string | null): JsonObject {
  switch (source.kind) {
    case 'app-store':
      return { iTunesStoreID: source.iTunesStoreId };
    case 'manifest':
      return { ManifestURL: source.manifestUrl };
    default:
      return { ManifestURL: manifestUrl ?? '' };
  }
}

export function removeApplication(bundleId: string): JsonObject {
  return { RequestType: 'RemoveApplication', Identifier: bundleId };
}

export function managedApplicationList(bundleId: string): JsonObject {
  return { RequestType: 'ManagedApplicationList', Identifiers: [bundleId] };
}

/** What the catalog has against the InstallApplication of this side; the version where it is known. */
export async function installProblems(
  app: Pick<AppInput, 'source' | 'install' | 'phone'>,
  side: Side,
  osVersion: string | null,
): Promise<readonly ContentProblem[]> {
  const options = optionsOf(app, side);
  const taken = Object.keys(options).filter((key) => OWN_KEYS.has(key));
  if (taken.length > 0)
    return taken.map((path) => ({ path, rule: 'unknown-key', expected: 'said by the source, not here' }));
  const content = installApplication(sourceOf(app, side), options, null);
  const target = { platform: PLATFORM_OF[side], osVersion };
  const judged = await validate('command', 'InstallApplication', content, target);
  return judged.ok ? [] : judged.refusal.problems;
}

/** Of a command that was judged. */
export function commandPlist(command: JsonObject): PlistDict {
  const plist = jsonToPlist(command);
  if (!plist.ok || !(plist.value instanceof Map))
    throw new Fault('app-command', 'a command that was judged is a property list');
  return plist.value;
}
