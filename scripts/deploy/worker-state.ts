/** The Worker as it stands in the account: its variables, which secrets it has, and what it is bound to. */
import type { CloudflareApi } from './api.ts';

export interface WorkerState {
  readonly exists: boolean;
  /** False for one that has been given secrets and no code yet. */
  readonly deployed: boolean;
  readonly vars: Readonly<Record<string, string>>;
  readonly secrets: ReadonlySet<string>;
  readonly hasPackages: boolean;
  readonly mtlsCertificateId: string | null;
}

interface Binding {
  readonly type: string;
  readonly name: string;
  readonly text?: string;
  readonly certificate_id?: string;
}

/** What was deployed: written with every deployment, by which the next one knows whether anything differs. */
export const BUILD_VARIABLE = 'DEPLOYED_BUILD';
/** The binding whose `fetch` presents the push certificate. */
export const MTLS_BINDING = 'APNS';
export const PACKAGES_BINDING = 'PACKAGES';

export async function readWorker(api: CloudflareApi, name: string): Promise<WorkerState> {
  const settings = await api.find(`workers/scripts/${name}/settings`, 'Workers Scripts: Edit');
  const bindings = (settings as { bindings?: readonly Binding[] } | null)?.bindings ?? [];
  const vars = bindings.filter(({ type }) => type === 'plain_text');
  const mtls = bindings.find(({ type, name: own }) => type === 'mtls_certificate' && own === MTLS_BINDING);
  return {
    exists: settings !== null,
    deployed: bindings.some(({ name: own }) => own === BUILD_VARIABLE),
    vars: Object.fromEntries(vars.map(({ name: own, text = '' }) => [own, text])),
    secrets: new Set(bindings.filter(({ type }) => type === 'secret_text').map(({ name: own }) => own)),
    hasPackages: bindings.some(({ type, name: own }) => type === 'r2_bucket' && own === PACKAGES_BINDING),
    mtlsCertificateId: mtls?.certificate_id ?? null,
  };
}
