/** Answers with what has a server token: the token is its entity tag (RFC 9110 §8.8.3). */
import type { AdminContext } from './env.ts';
import { entityTag } from './precondition.ts';

interface Change {
  readonly created?: boolean;
  /** How many devices are still to be brought up to date with it. */
  readonly waiting: number;
}

/** `change` when it is the answer to one. */
export function answerTagged(c: AdminContext, view: object, serverToken: string, change?: Change): Response {
  c.header('ETag', entityTag(serverToken));
  if (change === undefined) return c.json(view);
  return c.json({ ...view, waiting: change.waiting }, change.created ? 201 : 200);
}
