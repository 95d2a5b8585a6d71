/**
 * The only place that reads a request body. The limit is applied to the declared length first and to the bytes
 * as they arrive after that, so an oversized body is never held whole.
 */
import type { Bytes } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';

export type BodyRefusal =
  | { readonly kind: 'body-too-large'; readonly bodyBytesMax: number }
  | { readonly kind: 'body-unreadable' };

/** The whole body, at most `bodyBytesMax` bytes. An absent body is empty. */
export async function readBody(request: Request, bodyBytesMax: number): Promise<Outcome<Bytes, BodyRefusal>> {
  const declared = request.headers.get('Content-Length');
  if (declared !== null && Number(declared) > bodyBytesMax)
    return refuse({ kind: 'body-too-large', bodyBytesMax });
  // Asking for the stream makes one: only where it is read as a stream.
  if (declared === null && request.body === null) return ok(new Uint8Array(0));
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    // HTTP framing holds the sender to a declared length, so one read suffices.
    if (declared !== null) return ok(new Uint8Array(await request.arrayBuffer()));
    for await (const part of request.body as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > bodyBytesMax) return refuse({ kind: 'body-too-large', bodyBytesMax });
      parts.push(part);
    }
  } catch {
    // The peer went away or sent broken framing: nothing was processed, and there is nobody to tell more.
    return refuse({ kind: 'body-unreadable' });
  }
  return ok(join(parts, length));
}

/**
 * A large body in parts of `partBytes`, but for the last, of which no more than one is held. A refusal is the last word.
 * A body that is larger than it says is cut off by HTTP itself.
 */
export async function* bodyParts(
  request: Request,
  { partBytes, bodyBytesMax }: { readonly partBytes: number; readonly bodyBytesMax: number },
): AsyncGenerator<Outcome<Bytes, BodyRefusal>> {
  if (Number(request.headers.get('Content-Length') ?? 0) > bodyBytesMax) {
    yield refuse({ kind: 'body-too-large', bodyBytesMax });
    return;
  }
  const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return;
  let part = new Uint8Array(partBytes);
  let filled = 0;
  for (let total = 0; ; ) {
    const next = await reader.read().catch(() => null);
    if (next === null) return yield refuse({ kind: 'body-unreadable' });
    if (next.done) break;
    total += next.value.length;
    if (total > bodyBytesMax) {
      await reader.cancel();
      return yield refuse({ kind: 'body-too-large', bodyBytesMax });
    }
    for (let taken = 0; taken < next.value.length; ) {
      const some = next.value.subarray(taken, taken + partBytes - filled);
      part.set(some, filled);
      filled += some.length;
      taken += some.length;
      if (filled < partBytes) continue;
      yield ok(part);
      part = new Uint8Array(partBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield ok(part.subarray(0, filled));
}

function join(parts: readonly Uint8Array[], length: number): Bytes {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
