/** Bodies and queries of `/apps`, of their deployments, and of `/devices/{udid}/apps`. */
import * as v from 'valibot';
import { DEPLOY_DEVICES_MAX } from '../../../domain/admin/app-services.ts';
import { APP_KINDS, type AppInput } from '../../../domain/app/app.ts';
import { ACTIONS, DEPLOYMENT_STATES } from '../../../domain/app/machine.ts';
import { type JsonObject, jsonToPlist } from '../../../protocol/plist/json.ts';
import { page, udid } from './values.ts';

const NAME_CHARS_MAX = 128;
const URL_CHARS_MAX = 2048;

const bundleId = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9.-]{0,154}$/,
    'a bundle identifier: 1 to 155 letters, digits, hyphens and dots',
  ),
);

const name = v.pipe(
  v.string(),
  v.minLength(1, `1 to ${NAME_CHARS_MAX} characters`),
  v.maxLength(NAME_CHARS_MAX, `1 to ${NAME_CHARS_MAX} characters`),
  v.check((text) => jsonToPlist(text).ok, 'text that a property list can hold'),
);

/** Apple: ManifestURL begins with https. */
const manifestUrl = v.pipe(
  v.string(),
  v.maxLength(URL_CHARS_MAX, `at most ${URL_CHARS_MAX} characters`),
  v.check((text) => /^https:\/\//i.test(text) && URL.canParse(text), 'an https URL'),
);

const source = v.variant(
  'kind',
  [
    v.strictObject({
      kind: v.literal('app-store'),
      iTunesStoreID: v.pipe(v.number(), v.safeInteger(), v.minValue(1, 'an integer from 1')),
    }),
    v.strictObject({ kind: v.literal('manifest'), ManifestURL: manifestUrl }),
    v.strictObject({ kind: v.literal('package') }),
  ],
  'one of app-store, manifest, package',
);

/** Kept as it was parsed: the catalog judges its members. */
const install = v.custom<JsonObject>((value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return jsonToPlist(value).ok;
}, 'an object that a property list can hold: keys of InstallApplication beside the source');

export const newApp = v.strictObject({
  name,
  kind: v.picklist(APP_KINDS),
  source,
  install: v.optional(install, {}),
  phone: v.optional(v.strictObject({ bundleId, source: v.optional(source), install: v.optional(install) })),
});

type Source = v.InferOutput<typeof source>;

function sourceOf(given: Source): AppInput['source'] {
  switch (given.kind) {
    case 'app-store':
      return { kind: 'app-store', iTunesStoreId: given.iTunesStoreID };
    case 'manifest':
      return { kind: 'manifest', manifestUrl: given.ManifestURL };
    default:
      return { kind: 'package' };
  }
}

export function appInput({ name, kind, source, install, phone }: v.InferOutput<typeof newApp>): AppInput {
  const side =
    phone === undefined
      ? null
      : {
          bundleId: phone.bundleId,
          source: phone.source === undefined ? null : sourceOf(phone.source),
          install: phone.install ?? null,
        };
  return { name, kind, source: sourceOf(source), install, phone: side };
}

/** Apple: up to three integers with dots; others are seen, and the device compares them as text. */
export const packageQuery = v.strictObject({
  bundleVersion: v.pipe(v.string(), v.regex(/^[\w.+-]{1,64}$/, '1 to 64 letters, digits, dots, hyphens')),
});

export const deploymentQuery = v.strictObject({ ...page, state: v.optional(v.picklist(DEPLOYMENT_STATES)) });

const action = v.picklist(ACTIONS);

export const newDeployment = v.strictObject({ app: bundleId, action });

export const newDeployments = v.union(
  [
    v.strictObject({
      action,
      devices: v.pipe(
        v.array(udid),
        v.minLength(1, `1 to ${DEPLOY_DEVICES_MAX} UDIDs`),
        v.maxLength(DEPLOY_DEVICES_MAX, `1 to ${DEPLOY_DEVICES_MAX} UDIDs`),
      ),
    }),
    v.strictObject({ action, group: v.pipe(v.string(), v.minLength(1, 'the name of a group')) }),
  ],
  'an action, and either devices or a group',
);
