/**
 * From refusal to problem document, for the admin API alone. 401 is for administrators only: no device is ever
 * answered from this table. A detail repeats facts the asker may know and nothing that was secret.
 */
import type { AnchorRefusal } from '../../domain/admin/anchors.ts';
import type { CancelRefusal, EnqueueRefusal, RepeatRefusal } from '../../domain/admin/command-services.ts';
import type { ConfirmationRefusal } from '../../domain/admin/consequences.ts';
import type {
  GroupChangeRefusal,
  GroupRemoveRefusal,
  PutRefusal,
  RemoveRefusal,
  SetAssignGroupRefusal,
  SetAssignRefusal,
  SetPutRefusal,
  SetRemoveRefusal,
  SubscriptionRefusal,
  TouchRefusal,
  UnknownSet,
} from '../../domain/admin/declaration-services.ts';
import type {
  AssignRefusal,
  MalformedCursor,
  UnknownDevice,
  UnknownKey,
} from '../../domain/admin/services.ts';
import type { UnknownUpload } from '../../domain/admin/upload-services.ts';
import type { AssetRefusal } from '../../domain/declaration/asset-content.ts';
import type { ProfileRefusal } from '../../domain/declaration/profile-content.ts';
import type { MalformedIdentifier } from '../../domain/ids.ts';
import type { InvalidProfile } from '../../domain/profile/draft.ts';
import type { InvalidContent } from '../../protocol/catalog/validate.ts';
import type { BodyRefusal } from '../body.ts';
import { type AppRefusal, appProblem, isAppRefusal } from './app-refusals.ts';
import { commandProblem } from './command-refusals.ts';
import type { AdminContext } from './env.ts';
import { type FieldError, type Problem, problemResponse } from './problem.ts';
import { type ProfileOrderRefusal, profileProblem } from './profile-refusals.ts';

/** What is wrong with the request itself. */
export type RequestRefusal =
  | UnknownKey
  | { readonly kind: 'key-missing' }
  | BodyRefusal
  | { readonly kind: 'not-json' }
  | { readonly kind: 'not-a-profile' }
  | { readonly kind: 'malformed-json'; readonly position: number | null }
  | { readonly kind: 'json-too-deep'; readonly depthMax: number }
  | { readonly kind: 'invalid'; readonly errors: readonly FieldError[] }
  | MalformedIdentifier
  | MalformedCursor
  | { readonly kind: 'no-such-resource' }
  | { readonly kind: 'method-not-allowed'; readonly allow: readonly string[] }
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'fault' };

/** What the server's state does not allow. */
export type StateRefusal =
  | UnknownDevice
  | EnqueueRefusal
  | RepeatRefusal
  | CancelRefusal
  | AssignRefusal
  | AnchorRefusal
  | ConfirmationRefusal
  | { readonly kind: 'unknown-pairing' }
  | { readonly kind: 'serial-not-listed' }
  | { readonly kind: 'watch-enrolls-by-pairing' };

/** What stands against a declaration or a set. */
export type DeclarationRefusal =
  | Exclude<
      PutRefusal | TouchRefusal | RemoveRefusal | SetPutRefusal | SetRemoveRefusal | SetAssignRefusal,
      MalformedIdentifier | UnknownDevice
    >
  | { readonly kind: 'precondition-required' };

/** What stands against a change of groups, of what is assigned to them, and of settings. */
export type GroupRefusal =
  | GroupChangeRefusal
  | GroupRemoveRefusal
  | Exclude<SetAssignGroupRefusal, UnknownSet>
  | SubscriptionRefusal;

/** What is wrong with an upload. */
export type UploadRefusal =
  | Exclude<AssetRefusal | ProfileRefusal, InvalidContent>
  | UnknownUpload
  | InvalidProfile
  | ProfileOrderRefusal;

/** What `stateProblem` hands on. */
type FurtherRefusal = DeclarationRefusal | GroupRefusal | UploadRefusal;

export type AdminRefusal = RequestRefusal | StateRefusal | FurtherRefusal | AppRefusal;

/** Answers with the refusal's problem document, and logs its kind. */
export function refused(c: AdminContext, refusal: AdminRefusal): Response {
  const problem = toProblem(refusal);
  const { method, path } = c.req;
  c.get('log').event('admin', { method, path, refusal: refusal.kind, status: problem.status });
  return problemResponse(problem, c.get('requestId'));
}

export function toProblem(refusal: AdminRefusal): Problem {
  if (isAppRefusal(refusal)) return appProblem(refusal);
  const { kind } = refusal;
  switch (kind) {
    case 'key-missing':
      return { kind, status: 401, title: 'An administrator key is needed', headers: challenge() };
    case 'unknown-key':
      return { kind, status: 401, title: 'Unknown key', headers: challenge('invalid_token') };
    case 'body-too-large':
      return bad(kind, 413, 'Body too large', `At most ${refusal.bodyBytesMax} bytes.`);
    case 'body-unreadable':
      return bad(kind, 400, 'The body could not be read');
    case 'not-json':
      return bad(kind, 415, 'Not JSON', 'Send Content-Type: application/json, in UTF-8.');
    case 'not-a-profile':
      return bad(
        kind,
        415,
        'Not a profile',
        'Send Content-Type: application/x-apple-aspen-config or application/xml, or its description as JSON.',
      );
    case 'malformed-json':
      return { ...bad(kind, 400, 'Malformed JSON'), members: position(refusal.position) };
    case 'json-too-deep':
      return bad(kind, 400, 'JSON nested too deeply', `At most ${refusal.depthMax} levels.`);
    case 'invalid':
      return { ...bad(kind, 400, 'The request is not valid'), members: { errors: refusal.errors } };
    case 'malformed-identifier':
      return bad(kind, 400, 'Malformed identifier', `The path does not hold a ${refusal.field}.`);
    case 'malformed-cursor':
      return bad(kind, 400, 'Malformed cursor', 'A cursor goes back to the listing and filter it came from.');
    case 'no-such-resource':
      return bad(kind, 404, 'No such resource');
    case 'method-not-allowed':
      return {
        ...bad(kind, 405, 'Method not allowed', `Use ${refusal.allow.join(', ')}.`),
        headers: { Allow: refusal.allow.join(', ') },
      };
    case 'unavailable':
      return { ...bad(kind, 503, 'Try again'), headers: { 'Retry-After': '5' } };
    case 'fault':
      return bad(kind, 500, 'The server failed', 'The log has the cause under this requestId.');
    default:
      return stateProblem(refusal);
  }
}

function stateProblem(refusal: StateRefusal | FurtherRefusal): Problem {
  const { kind } = refusal;
  switch (kind) {
    case 'unknown-device':
      return bad(kind, 404, 'Unknown device', `No device ${refusal.udid} has enrolled here.`);
    case 'device-not-enrolled':
      return bad(kind, 409, 'The device is not enrolled', `It is ${refusal.state}.`);
    case 'queue-full':
      return bad(kind, 409, 'The queue is full', `At most ${refusal.pendingMax} commands wait for a device.`);
    case 'unsupported-command':
    case 'invalid-command':
      return commandProblem(refusal);
    case 'command-conflict':
      return bad(kind, 409, 'Another command has this UUID', `${refusal.commandUuid} names other content.`);
    case 'unknown-command':
      return bad(kind, 404, 'Unknown command', `This device has no command ${refusal.commandUuid}.`);
    case 'command-not-pending':
      return bad(kind, 409, 'The command is not pending', `It is ${refusal.state}.`);
    case 'command-not-ended':
      return bad(kind, 409, 'The command has not ended', `It is ${refusal.state}.`);
    case 'command-acknowledged':
      return bad(kind, 409, 'The device acknowledged it', 'To have it done once more, say "again": true.');
    case 'command-is-own':
      return bad(kind, 409, "The server's own", 'It is sent by itself whenever a manifest changes.');
    case 'content-lost':
      return bad(kind, 409, 'Its content is lost', 'It was not kept, or does not open with the storage key.');
    case 'not-a-phone':
      return bad(
        kind,
        409,
        'Not an iPhone',
        'Watch enrollment is assigned to the iPhone that hosts the watch.',
      );
    case 'malformed-anchor':
      return invalid(kind, 'Malformed anchor', `/anchors/${refusal.index}`, refusal.reason);
    case 'duplicate-anchor':
      return invalid(kind, 'Duplicate anchor', `/anchors/${refusal.index}`, 'each certificate once');
    case 'confirmation-needed':
      return {
        ...bad(kind, 422, 'Confirmation needed', "Repeat with confirm.serial, the device's serial number."),
        members: { causes: refusal.causes },
      };
    case 'unknown-pairing':
      return bad(kind, 404, 'Unknown pairing');
    case 'serial-not-listed':
      return bad(kind, 404, 'This serial number is not expected');
    case 'watch-enrolls-by-pairing':
      return bad(kind, 422, 'A watch takes no link', 'It enrolls while it pairs with its assigned iPhone.');
    default:
      return declarationProblem(refusal);
  }
}

function declarationProblem(refusal: FurtherRefusal): Problem {
  const { kind } = refusal;
  switch (kind) {
    case 'precondition-required':
      return bad(kind, 428, 'A precondition is needed', 'Send If-Match with the ETag, or If-None-Match: *.');
    case 'precondition-failed':
      return bad(kind, 412, 'It is not as you believe', 'Read it again and repeat with its ETag.');
    case 'unknown-declaration':
      return bad(kind, 404, 'Unknown declaration', `There is no declaration ${refusal.identifier}.`);
    case 'reserved-identifier':
      return bad(
        kind,
        409,
        "The server's own",
        `Identifiers that begin with ${refusal.prefix} are reserved.`,
      );
    case 'kind-fixed':
      return bad(
        kind,
        409,
        'Another kind of declaration',
        `It is of kind ${refusal.current}: delete it first.`,
      );
    case 'payload-too-large':
      return bad(kind, 413, 'Payload too large', `At most ${refusal.bytesMax} bytes.`);
    case 'invalid-content':
      return { ...bad(kind, 422, 'Not what the catalog says'), members: { problems: refusal.problems } };
    case 'malformed-predicate': {
      const { position, line, column, expected } = refusal;
      const problem = bad(kind, 422, 'Malformed predicate', `At ${line}:${column}: ${expected}.`);
      return { ...problem, members: { path: 'Payload.Predicate', position, line, column, expected } };
    }
    case 'unknown-references':
      return {
        ...bad(kind, 422, 'It refers to what is not there'),
        members: { references: refusal.references },
      };
    case 'still-referenced':
      return { ...bad(kind, 409, 'Something still refers to it'), members: { ...refusal.holders } };
    case 'unknown-set':
      return bad(kind, 404, 'Unknown set', `There is no set ${refusal.name}.`);
    case 'unknown-declarations':
      return { ...bad(kind, 422, 'Unknown declarations'), members: { declarations: refusal.identifiers } };
    case 'set-assigned':
      return {
        ...bad(kind, 409, 'The set is assigned'),
        members: { devices: refusal.devices, groups: refusal.groups },
      };
    case 'device-sets-full':
      return bad(kind, 409, 'Too many sets', `A device has at most ${refusal.setsMax}.`);
    case 'type-fixed':
      return bad(kind, 409, 'Another type', `It is a ${refusal.current}: delete it first.`);
    case 'asset-type-mismatch':
      return {
        ...bad(kind, 422, 'It refers to an asset of a type that does not fit'),
        members: { references: refusal.references },
      };
    case 'made-by-upload':
      return bad(kind, 409, 'Made by an upload', `Replace it by PUT /api/v1/${refusal.resource}.`);
    case 'unknown-variables':
      return { ...bad(kind, 422, 'Unknown variables', VARIABLES), members: { variables: refusal.uses } };
    case 'too-many-variables':
      return bad(kind, 422, 'Too many variables', `A payload has at most ${refusal.usesMax}.`);
    case 'variable-in-predicate':
      return bad(
        kind,
        422,
        'A variable in a predicate',
        'Use @property(NAME): the device has its properties.',
      );
    default:
      return groupProblem(refusal);
  }
}

const VARIABLES = 'Known are udid, serial, name and property.NAME, in braces after a dollar sign.';

function groupProblem(refusal: GroupRefusal | UploadRefusal): Problem {
  const { kind } = refusal;
  switch (kind) {
    case 'unknown-group':
      return bad(kind, 404, 'Unknown group', `There is no group ${refusal.name}.`);
    case 'group-everyone':
      return bad(kind, 409, 'The group of every device', 'It has no list of its own, and stays.');
    case 'group-assigned': {
      const { sets, watchEnrollment } = refusal;
      return { ...bad(kind, 409, 'Something is assigned to the group'), members: { sets, watchEnrollment } };
    }
    case 'unknown-devices':
      return {
        ...bad(kind, 422, 'Unknown devices', 'They have not enrolled here.'),
        members: { devices: refusal.devices },
      };
    case 'device-groups-full': {
      const detail = `A device is in at most ${refusal.groupsMax}.`;
      return { ...bad(kind, 409, 'Too many groups', detail), members: { devices: refusal.devices } };
    }
    case 'group-sets-full':
      return bad(kind, 409, 'Too many sets', `A group has at most ${refusal.setsMax}.`);
    case 'unknown-status-items': {
      const detail = `The catalog has none of these on ${refusal.platform}.`;
      return { ...bad(kind, 422, 'Unknown status items', detail), members: { items: refusal.items } };
    }
    default:
      return uploadProblem(refusal);
  }
}

function uploadProblem(refusal: UploadRefusal): Problem {
  const { kind } = refusal;
  switch (kind) {
    case 'unknown-upload':
      return bad(
        kind,
        404,
        'Unknown upload',
        `No ${refusal.identifier} was uploaded to ${refusal.resource}.`,
      );
    case 'upload-too-large':
      return bad(kind, 413, 'Upload too large', `Devices download at most ${refusal.bytesMax} bytes.`);
    case 'unreadable-upload':
      return invalid(kind, 'The upload is not readable', refusal.path, refusal.reason);
    case 'invalid-profile': {
      const { problems, warnings } = refusal;
      return { ...bad(kind, 422, 'Not a profile that works'), members: { problems, warnings } };
    }
    case 'malformed-profile':
      return bad(kind, 422, 'Malformed profile', refusal.reason);
    case 'enrollment-profile':
      return bad(
        kind,
        422,
        'It would manage the device',
        'A profile for enrollment is given out by enrolling.',
      );
    case 'unknown-version':
    case 'unpairs-watches':
    case 'profile-installed':
    case 'payload-identifier-fixed':
    case 'payload-identifier-taken':
    case 'payload-identifier-changed':
    case 'profile-unfit':
    case 'profile-declared':
    case 'profile-order-under-way':
    case 'too-many-targets':
      return profileProblem(refusal);
    default:
      kind satisfies never;
      throw new TypeError('unreachable');
  }
}

function bad(kind: string, status: number, title: string, detail?: string): Problem {
  return detail === undefined ? { kind, status, title } : { kind, status, title, detail };
}

function invalid(kind: string, title: string, path: string, expected: string): Problem {
  return { kind, status: 422, title, members: { errors: [{ path, expected }] } };
}

function position(at: number | null): Record<string, number> {
  return at === null ? {} : { position: at };
}

/** RFC 6750 §3: an error code only when a key was sent. */
function challenge(error?: string): Record<string, string> {
  const parameters = error === undefined ? '' : `, error="${error}"`;
  return { 'WWW-Authenticate': `Bearer realm="escapement"${parameters}` };
}
