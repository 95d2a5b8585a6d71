/**
 * What the steps of a deployment share: what was asked for, the account, and what is known of it so far. Nothing of
 * this outlives the run; the account itself is the record of what has been done.
 */
import type { CloudflareApi } from './api.ts';
import type { Choices } from './choices.ts';
import type { PushIdentity } from './push-identity.ts';
import type { WorkerState } from './worker-state.ts';
import type { Wrangler } from './wrangler.ts';

export interface Site {
  readonly choices: Choices;
  readonly names: Names;
  readonly api: CloudflareApi;
  readonly wrangler: Wrangler;
  /** The Worker as it stands in the account; read again before each step that asks. */
  worker: WorkerState;
  /** Settings that will be in force, by the name of the variable. */
  vars: Readonly<Record<string, string>>;
  push: PushIdentity | null;
  databaseId: string | null;
  namespaceId: string | null;
  /** Of the uploaded push certificate, when there is one. */
  mtlsCertificateId: string | null;
  tell(line: string): void;
}

/** Everything is found again by its name, so the names may not change between runs. */
export interface Names {
  readonly worker: string;
  readonly database: string;
  readonly namespace: string;
  readonly bucket: string;
  readonly pushCertificate: string;
  /** Dead-letter queues among them. */
  readonly queues: readonly string[];
}

/** A reason not to go on, and what to do about it. Nothing was changed by whoever throws it. */
export class Stop extends Error {
  readonly fix: string;

  constructor(problem: string, fix: string) {
    super(problem);
    this.fix = fix;
  }
}

export type Finding =
  | { readonly kind: 'kept'; readonly what: string }
  | { readonly kind: 'change'; readonly what: string; act(): Promise<void> };

export interface Step {
  /** Looks and changes nothing. Throws `Stop` when the step cannot be taken. */
  look(site: Site): Promise<Finding>;
}

export const kept = (what: string): Finding => ({ kind: 'kept', what });
export const change = (what: string, act: () => Promise<void>): Finding => ({ kind: 'change', what, act });
