/** The apps themselves: what an administrator says of each, judged by the catalog for the platforms it goes to. */
import { utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { AppLibrary, PutAppRefusal, RemoveAppRefusal, UnknownApp } from '../admin/app-services.ts';
import { isFulfilled, type Precondition } from '../admin/precondition.ts';
import type { PageQuery } from '../admin/services.ts';
import { type App, type AppInput, parseBundleId, sidesOf } from './app.ts';
import { installProblems } from './commands.ts';
import {
  type AppConfigurations,
  type ConfigurationsBySide,
  configuredSides,
  type Parted,
  partConfigurations,
} from './configurations.ts';
import type { AppStore } from './ports.ts';

/** Of both sides' options as JSON: a command's plist of it fits a row of D1, sealed, with room to spare. */
export const OPTIONS_BYTES_MAX = 128 * 1024;

export class Apps implements AppLibrary {
  readonly #store: AppStore;
  readonly #configurations: AppConfigurations;
  readonly #newUuid: () => string;

  constructor(store: AppStore, configurations: AppConfigurations, newUuid: () => string) {
    this.#store = store;
    this.#configurations = configurations;
    this.#newUuid = newUuid;
  }

  list(page: PageQuery) {
    return this.#store.list(page);
  }

  find(watchBundleId: string): Promise<App | null> {
    return this.#store.find(watchBundleId);
  }

  async put(
    id: string,
    input: AppInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<{ app: App; created: boolean }, PutAppRefusal>> {
    const bundleId = parseBundleId(id);
    if (!bundleId.ok) return bundleId;
    const hindrance = await hindranceOf(input);
    if (hindrance !== null) return refuse(hindrance);
    const current = await this.#store.find(id);
    const parted = partConfigurations(input);
    if (current !== null && (await this.#isStored(current, parted)))
      return ok({ app: current, created: false });
    if (!isFulfilled(precondition, current?.version ?? null)) return refuse({ kind: 'precondition-failed' });
    const sealed = await this.#configurations.seal(id, parted.configurations);
    const app: App = {
      ...parted.input,
      watchBundleId: id,
      configured: configuredSides(parted.configurations),
      package: current?.package ?? null,
      version: this.#newUuid(),
      updatedAtMs: nowMs,
    };
    const written =
      current === null
        ? await this.#store.insert(app, sealed)
        : await this.#store.replace(app, sealed, current.version);
    return written ? ok({ app, created: current === null }) : refuse({ kind: 'precondition-failed' });
  }

  /** As this version has it, in the same words. */
  async #isStored(current: App, { input, configurations }: Parted): Promise<boolean> {
    const { watchBundleId, version } = current;
    if (wordsOf(current) !== wordsOf(input)) return false;
    if (!(await this.#configurations.isStored(watchBundleId, configurations))) return false;
    return (await this.#store.find(watchBundleId))?.version === version;
  }

  async remove(
    id: string,
    precondition: Precondition | null,
    nowMs: EpochMs,
  ): Promise<Outcome<{ removed: true }, RemoveAppRefusal>> {
    const current = await this.#store.find(id);
    if (current === null) return refuse({ kind: 'unknown-app', app: id });
    if (precondition !== null && !isFulfilled(precondition, current?.version ?? null))
      return refuse({ kind: 'precondition-failed' });
    switch (await this.#store.remove(id, current.version, nowMs)) {
      case 'removed':
        return ok({ removed: true });
      case 'deployed':
        return refuse({ kind: 'app-deployed' });
      default:
        return refuse({ kind: 'precondition-failed' });
    }
  }

  async configuration(id: string): Promise<Outcome<ConfigurationsBySide, UnknownApp>> {
    if ((await this.#store.find(id)) === null) return refuse({ kind: 'unknown-app', app: id });
    return ok(await this.#configurations.read(id));
  }
}

async function hindranceOf(input: AppInput): Promise<PutAppRefusal | null> {
  if ((input.kind === 'standalone') !== (input.phone === null))
    return { kind: 'app-kind-mismatch', app: input.kind };
  if (input.phone !== null) {
    const bundleId = parseBundleId(input.phone.bundleId);
    if (!bundleId.ok) return bundleId.refusal;
  }
  const bytes = utf8(JSON.stringify([input.install, input.phone?.install ?? null])).length;
  if (bytes > OPTIONS_BYTES_MAX) return { kind: 'app-options-too-large', bytesMax: OPTIONS_BYTES_MAX };
  for (const side of sidesOf(input.kind)) {
    const problems = await installProblems(input, side, null);
    if (problems.length > 0) return { kind: 'invalid-install', side, problems };
  }
  return null;
}

function wordsOf({ name, kind, source, install, phone }: AppInput): string {
  const side = phone === null ? null : [phone.bundleId, phone.source, phone.install];
  return JSON.stringify([name, kind, source, install, side]);
}
