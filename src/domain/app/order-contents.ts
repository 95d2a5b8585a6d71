/**
 * The command of a step, from the app as it now stands: its sealed configuration opened, and for an uploaded package a
 * URL that is good for as long as the command may wait, and then some.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, type EpochMs } from '../../std/time.ts';
import { optionsOf, type Side, sourceOf } from './app.ts';
import { installApplication, managedApplicationList, removeApplication } from './commands.ts';
import type { AppConfigurations } from './configurations.ts';
import type { Order } from './machine.ts';
import { PACKAGE_URL_LIFE_MS, type PackageUrls } from './package-urls.ts';
import type { AppStore, Deployment } from './ports.ts';

export type ContentRefusal =
  /** It was deleted; nothing of the kind happens while a deployment runs. */
  | { readonly kind: 'unknown-app'; readonly app: string }
  | { readonly kind: 'package-missing'; readonly app: string };

export class OrderContents {
  readonly #apps: Pick<AppStore, 'find'>;
  readonly #configurations: AppConfigurations;
  readonly #urls: PackageUrls;

  constructor(apps: Pick<AppStore, 'find'>, configurations: AppConfigurations, urls: PackageUrls) {
    this.#apps = apps;
    this.#configurations = configurations;
    this.#urls = urls;
  }

  async make(
    deployment: Deployment,
    { kind, side, expiresAtMs }: Order,
    nowMs: EpochMs,
  ): Promise<Outcome<JsonObject, ContentRefusal>> {
    const { app: id, phoneBundleId } = deployment;
    const bundleId = side === 'watch' || phoneBundleId === null ? id : phoneBundleId;
    if (kind === 'remove') return ok(removeApplication(bundleId));
    if (kind === 'ask') return ok(managedApplicationList(bundleId));
    return this.#install(id, side, addMs(expiresAtMs < nowMs ? nowMs : expiresAtMs, PACKAGE_URL_LIFE_MS));
  }

  async #install(id: string, side: Side, urlUntilMs: EpochMs): Promise<Outcome<JsonObject, ContentRefusal>> {
    const app = await this.#apps.find(id);
    if (app === null) return refuse({ kind: 'unknown-app', app: id });
    const source = sourceOf(app, side);
    if (source.kind === 'package' && app.package === null)
      return refuse({ kind: 'package-missing', app: id });
    const manifestUrl =
      source.kind === 'package' && app.package !== null
        ? await this.#urls.make('manifest', { packageId: app.package.packageId, side }, urlUntilMs)
        : null;
    const configuration = await this.#configurations.ofSide(app, side);
    const options = {
      ...optionsOf(app, side),
      ...(configuration === null ? {} : { Configuration: configuration }),
    };
    return ok(installApplication(source, options, manifestUrl));
  }
}
