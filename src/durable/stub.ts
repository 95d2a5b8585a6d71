/**
 * How the rest of the server reaches an object. A stub that threw is broken for good, so every call makes its own.
 * Whatever a call throws is `Unavailable`: the caller does not know whether the object acted. Only what may safely
 * happen twice is tried again, once, when the runtime says that this may help.
 */
import { Unavailable } from '../std/outcome.ts';

/** What the runtime marks on errors of the connection: what may succeed elsewhere, and what must not be asked again. */
interface StubError {
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

/** For calls that are idempotent. */
export async function repeatable<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const { retryable, overloaded } = error as StubError;
    if (retryable !== true || overloaded === true) throw unavailable(error);
  }
  return once(call);
}

/** For calls whose second run would be a second act. */
export async function once<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw unavailable(error);
  }
}

function unavailable(cause: unknown): Unavailable {
  return new Unavailable('object', 'a durable object did not answer', cause);
}

/** A port as the object behind it serves it: the same calls, answered at once or later. */
export type Served<Port> = {
  [Name in keyof Port]: Port[Name] extends (...args: infer Args) => Promise<infer Value>
    ? (...args: Args) => Value | Promise<Value>
    : never;
};
