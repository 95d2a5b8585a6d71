/**
 * Problem documents (RFC 9457): `application/problem+json` with `type`, `title`, `status`, `detail`, and what
 * the kind of problem adds. `type` is a URN that names the refusal's kind: stable, and never to be fetched.
 */

/** Enough to mend a request by; a body could hold thousands. */
export const ERRORS_MAX = 32;

export interface FieldError {
  /** A JSON pointer into the body (RFC 6901), or `?name` for a query parameter. */
  readonly path: string;
  readonly expected: string;
}

export interface Problem {
  readonly kind: string;
  readonly status: number;
  readonly title: string;
  readonly detail?: string;
  /** Members that this kind of problem adds to the document. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export const PROBLEM_TYPE_PREFIX = 'urn:escapement:problem:';

export function problemResponse(problem: Problem, requestId: string): Response {
  const document = { ...problemDocument(problem), requestId };
  return new Response(JSON.stringify(document), {
    status: problem.status,
    headers: { 'Content-Type': 'application/problem+json', ...problem.headers },
  });
}

/** As it stands in an answer about many things. */
export function problemDocument(problem: Problem) {
  return {
    type: `${PROBLEM_TYPE_PREFIX}${problem.kind}`,
    title: problem.title,
    status: problem.status,
    detail: problem.detail,
    ...problem.members,
  };
}
