/**
 * How the rest of the server reaches an object. A stub that threw is broken for good, so each call takes a new
 * one; a call that failed before it reached the object is made once more, because nothing happened.
 */
import { Unavailable } from '../std/outcome.ts';

/** What workerd adds to errors that come from the connection and not from the object's own code. */
interface StubError {
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

/** Runs `call` on a fresh stub; throws `Unavailable` when the object cannot be reached or fails. */
export async function callObject<Stub, T>(fresh: () => Stub, call: (stub: Stub) => Promise<T>): Promise<T> {
  try {
    return await call(fresh());
  } catch (error) {
    const { retryable, overloaded } = error as StubError;
    if (retryable !== true || overloaded === true)
      throw new Unavailable('object', 'an object did not answer', error);
  }
  try {
    return await call(fresh());
  } catch (error) {
    throw new Unavailable('object', 'an object did not answer', error);
  }
}

/** A port as the object behind it serves it: the same calls, answered at once or later. */
export type Served<Port> = {
  [Name in keyof Port]: Port[Name] extends (...args: infer Args) => Promise<infer Value>
    ? (...args: Args) => Value | Promise<Value>
    : never;
};
