/**
 * The catcher. A device is never told more than "later": whatever failed, 503 with Retry-After is the one answer
 * that no device acts on. The log has the rest; administrators' problem documents are made by their own audience.
 */
import type { Log } from '../log.ts';
import { EscapementError, Fault, Unavailable } from '../std/outcome.ts';

const RETRY_AFTER_SECONDS = '30';

export function answerError(error: unknown, log: Log): Response {
  const known = error instanceof Error ? error : new Error(String(error));
  const errorCode = known instanceof EscapementError ? known.code : known.name;
  const cause = known.cause instanceof Error ? `: ${known.cause.message}` : '';
  log.event(known instanceof Unavailable ? 'unavailable' : 'fault', {
    errorCode,
    error: known.message + cause,
  });
  return new Response('unavailable\n', { status: 503, headers: { 'Retry-After': RETRY_AFTER_SECONDS } });
}

/** What `/healthz` says of a Worker that cannot serve: which settings are at fault, as `config.ts` names them. */
export function answerBroken(error: unknown, log: Log): Response {
  const answer = answerError(error, log);
  const faults = error instanceof Fault && error.code === 'configuration' ? error.message.split('; ') : [];
  return Response.json(
    { status: 'misconfigured', faults },
    { status: answer.status, headers: answer.headers },
  );
}
