/**
 * `Configuration` of InstallApplication: what the app finds in `com.apple.configuration.managed`, tokens and passwords
 * among it. Taken out of the options before they are stored, and stored sealed.
 */
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import { type Bytes, readUtf8, utf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { type App, type AppInput, type InstallOptions, SIDES, type Side } from './app.ts';
import type { AppSeal, AppStore } from './ports.ts';

export type ConfigurationsBySide = Partial<Record<Side, JsonValue>>;

export interface Parted {
  /** Without any configuration. */
  readonly input: AppInput;
  readonly configurations: ConfigurationsBySide;
}

export function partConfigurations(input: AppInput): Parted {
  const watch = part(input.install);
  const phone = input.phone === null || input.phone.install === null ? null : part(input.phone.install);
  return {
    input: {
      ...input,
      install: watch.options,
      phone: input.phone === null ? null : { ...input.phone, install: phone?.options ?? null },
    },
    configurations: {
      ...(watch.configuration === undefined ? {} : { watch: watch.configuration }),
      ...(phone?.configuration === undefined ? {} : { phone: phone.configuration }),
    },
  };
}

function part({ Configuration: configuration, ...options }: InstallOptions): {
  options: InstallOptions;
  configuration: JsonValue | undefined;
} {
  return { options, configuration };
}

export function configuredSides(configurations: ConfigurationsBySide): readonly Side[] {
  return SIDES.filter((side) => configurations[side] !== undefined);
}

export class AppConfigurations {
  readonly #store: Pick<AppStore, 'configuration'>;
  readonly #seal: AppSeal;

  constructor(store: Pick<AppStore, 'configuration'>, seal: AppSeal) {
    this.#store = store;
    this.#seal = seal;
  }

  /** Null when there is nothing to seal. */
  async seal(watchBundleId: string, configurations: ConfigurationsBySide): Promise<Bytes | null> {
    if (configuredSides(configurations).length === 0) return null;
    return this.#seal.seal(context(watchBundleId), utf8(JSON.stringify(configurations)));
  }

  /** Null when the side's options have none. The iPhone's options are the watch's where it has none of its own. */
  async ofSide(
    app: Pick<App, 'watchBundleId' | 'configured' | 'phone'>,
    side: Side,
  ): Promise<JsonValue | null> {
    const from = side === 'phone' && app.phone?.install == null ? 'watch' : side;
    if (!app.configured.includes(from)) return null;
    return (await this.read(app.watchBundleId))[from] ?? null;
  }

  /** What does not open any more is not: it can be given anew. */
  async isStored(watchBundleId: string, configurations: ConfigurationsBySide): Promise<boolean> {
    return (await this.#open(watchBundleId)) === JSON.stringify(configurations);
  }

  async read(watchBundleId: string): Promise<ConfigurationsBySide> {
    const text = await this.#open(watchBundleId);
    if (text === null)
      throw new Fault('seal-broken', `the configuration of ${watchBundleId} does not open with STORAGE_KEY`);
    return JSON.parse(text) as JsonObject;
  }

  async #open(watchBundleId: string): Promise<string | null> {
    const sealed = await this.#store.configuration(watchBundleId);
    if (sealed === null) return '{}';
    const plain = await this.#seal.open(context(watchBundleId), sealed);
    return plain === null ? null : readUtf8(plain);
  }
}

function context(watchBundleId: string): string {
  return `app-configuration/${watchBundleId}`;
}
