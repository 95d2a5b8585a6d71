/** What stands against apps, their packages and their deployments, as problem documents. */
import type {
  AppDeployments,
  DeployManyRefusal,
  DeployRefusal,
  PackageRefusal,
  PutAppRefusal,
  RemoveAppRefusal,
} from '../../domain/admin/app-services.ts';
import type { EnqueueRefusal } from '../../domain/admin/command-services.ts';
import type { UnknownGroup } from '../../domain/admin/declaration-services.ts';
import type { UnknownDevice } from '../../domain/admin/services.ts';
import type { MalformedIdentifier } from '../../domain/ids.ts';
import type { Problem } from './problem.ts';

type RefusalOf<T extends (...args: never[]) => unknown> =
  Awaited<ReturnType<T>> extends infer O ? (O extends { readonly refusal: infer R } ? R : never) : never;

export type AppRefusal = Exclude<
  | PutAppRefusal
  | RemoveAppRefusal
  | PackageRefusal
  | DeployRefusal
  | DeployManyRefusal
  | RefusalOf<AppDeployments['cancel']>
  | RefusalOf<AppDeployments['retry']>,
  // These are said of other resources too.
  | MalformedIdentifier
  | UnknownDevice
  | UnknownGroup
  | Extract<EnqueueRefusal, { kind: 'device-not-enrolled' }>
  | { readonly kind: 'precondition-failed' }
>;

const KINDS: Readonly<Record<AppRefusal['kind'], true>> = {
  'app-deployed': true,
  'app-kind-mismatch': true,
  'app-options-too-large': true,
  'deployment-conflict': true,
  'deployment-not-retriable': true,
  'deployment-over': true,
  'deployment-superseded': true,
  'group-too-large': true,
  'invalid-install': true,
  'not-a-package': true,
  'not-a-watch': true,
  'package-missing': true,
  'package-unused': true,
  'packages-not-configured': true,
  'phone-not-enrolled': true,
  'phone-unknown': true,
  'unknown-app': true,
  'unknown-deployment': true,
};

export function isAppRefusal<R extends { readonly kind: string }>(
  refusal: R | AppRefusal,
): refusal is AppRefusal {
  return Object.hasOwn(KINDS, refusal.kind);
}

export function appProblem(refusal: AppRefusal): Problem {
  const { kind } = refusal;
  switch (kind) {
    case 'unknown-app':
      return bad(kind, 404, 'Unknown app', `There is no app ${refusal.app}.`);
    case 'app-kind-mismatch': {
      const detail =
        refusal.app === 'standalone'
          ? 'A standalone app has no app on the iPhone: leave phone out.'
          : `A ${refusal.app} app needs phone.bundleId, the app on the iPhone that goes first.`;
      return bad(kind, 422, 'Its kind does not fit', detail);
    }
    case 'app-options-too-large':
      return bad(kind, 413, 'Options too large', `At most ${refusal.bytesMax} bytes of both sides as JSON.`);
    case 'invalid-install': {
      const problem = bad(
        kind,
        422,
        'Not what the catalog says',
        `Of InstallApplication on the ${refusal.side}.`,
      );
      return { ...problem, members: { side: refusal.side, problems: refusal.problems } };
    }
    case 'app-deployed':
      return bad(kind, 409, 'Deployments of it run', 'Cancel them, or wait for their end.');
    case 'packages-not-configured': {
      const detail = 'No R2 bucket is bound as PACKAGES. Give the app a source of kind manifest instead.';
      return bad(kind, 501, 'This server keeps no packages', detail);
    }
    case 'not-a-package':
      return bad(kind, 422, 'Not a package', 'An .ipa is a ZIP archive, sent as it is.');
    case 'package-unused': {
      const detail = `No side of ${refusal.app} has a source of kind package: put the app with one first.`;
      return bad(kind, 409, 'The app takes no package', detail);
    }
    case 'package-missing':
      return bad(kind, 409, 'No package yet', `Upload one to /api/v1/apps/${refusal.app}/package.`);
    default:
      return deploymentProblem(refusal);
  }
}

type DeploymentRefusal = Extract<
  AppRefusal,
  {
    kind:
      | 'deployment-conflict'
      | 'deployment-not-retriable'
      | 'deployment-over'
      | 'deployment-superseded'
      | 'group-too-large'
      | 'not-a-watch'
      | 'phone-not-enrolled'
      | 'phone-unknown'
      | 'unknown-deployment';
  }
>;

function deploymentProblem(refusal: DeploymentRefusal): Problem {
  const { kind } = refusal;
  switch (kind) {
    case 'not-a-watch':
      return bad(kind, 422, 'Not a watch', 'Apps are deployed to a watch; its iPhone gets its part with it.');
    case 'phone-unknown':
      return bad(kind, 409, 'Its iPhone is not known', 'The app needs one on the iPhone first.');
    case 'phone-not-enrolled': {
      const state = refusal.state === null ? 'unknown here' : refusal.state;
      return bad(kind, 409, 'Its iPhone is not enrolled', `${refusal.phone} is ${state}.`);
    }
    case 'unknown-deployment':
      return bad(kind, 404, 'Unknown deployment');
    case 'deployment-conflict': {
      const detail = `On ${refusal.udid} it stands for another app or action.`;
      return bad(kind, 409, 'Another deployment has this Idempotency-Key', detail);
    }
    case 'deployment-over':
      return bad(kind, 409, 'The deployment is over', `It is ${refusal.state}.`);
    case 'deployment-not-retriable':
      return bad(kind, 409, 'Nothing to try again', `It is ${refusal.state}.`);
    case 'deployment-superseded':
      return bad(kind, 409, 'A later deployment took its place');
    case 'group-too-large': {
      const detail = `At most ${refusal.devicesMax} watches in one request.`;
      return bad(kind, 409, 'The group is too large', detail);
    }
    default:
      kind satisfies never;
      throw new TypeError('unreachable');
  }
}

function bad(kind: string, status: number, title: string, detail?: string): Problem {
  return detail === undefined ? { kind, status, title } : { kind, status, title, detail };
}
