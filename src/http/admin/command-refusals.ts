/**
 * Why a command is not queued, as a problem document. `errors` have the place as a pointer into the body, the rule and
 * what is expected; of what a platform does not have also the reason, and what it has instead.
 */
import type { EnqueueRefusal } from '../../domain/admin/command-services.ts';
import type { ConfirmationRefusal } from '../../domain/admin/consequences.ts';
import type { CommandProblem, CommandRefusal } from '../../domain/command/admission.ts';
import { ERRORS_MAX, type Problem } from './problem.ts';

const UNPROCESSABLE = 422;

export function commandProblem(refusal: CommandRefusal): Problem {
  const { kind, requestType } = refusal;
  if (refusal.kind === 'unsupported-command') {
    const { problem } = refusal;
    const reason = problem.lack === undefined ? '' : ` ${problem.lack.reason}`;
    const title = 'The device does not take this command';
    const detail = `${requestType}: ${problem.expected}.${reason}`;
    return { kind, status: UNPROCESSABLE, title, detail, members: membersOf([problem]) };
  }
  const title = 'The command is not valid';
  return { kind, status: UNPROCESSABLE, title, members: membersOf(refusal.problems) };
}

export function confirmationProblem(
  { kind, mismatch, causes }: ConfirmationRefusal,
  member: 'confirm.serial' | 'confirm.serials',
): Problem {
  const named = member === 'confirm.serial' ? member : `${member} under its UDID`;
  const detail = mismatch
    ? `What ${named} has does not match the device's serial number.`
    : `Repeat with the device's serial number in ${named}.`;
  return { kind, status: UNPROCESSABLE, title: 'Confirmation needed', detail, members: { causes } };
}

export function conflictDetail({
  commandUuid,
  of,
}: Extract<EnqueueRefusal, { kind: 'command-conflict' }>): string {
  return of === 'another-device'
    ? `${commandUuid} names a command of another device.`
    : `${commandUuid} names other content.`;
}

function membersOf(problems: readonly CommandProblem[]) {
  const alternatives = problems.map(({ lack }) => lack?.alternative).filter((one) => one !== undefined);
  return {
    errors: problems.slice(0, ERRORS_MAX).map(errorView),
    alternative: alternatives.find((one) => one !== null) ?? null,
  };
}

function errorView({ path, rule, expected, lack }: CommandProblem) {
  const error = { path: pointer(path), rule, expected };
  return lack === undefined ? error : { ...error, reason: lack.reason, alternative: lack.alternative };
}

/** `Settings[0].Item` as `/command/Settings/0/Item` (RFC 6901 §3). */
function pointer(path: string): string {
  const steps = path.replaceAll(/\[(\d+)\]/g, '.$1').split('.');
  return ['/command', ...steps.map((step) => step.replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
}
