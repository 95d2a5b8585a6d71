/** Declarations as an administrator puts them, with the preconditions that a PUT must name. */
import { env } from 'cloudflare:workers';
import { type Json, send, url } from './front-door.ts';

export type Precondition = 'absent' | 'present';

export interface Answer {
  readonly status: number;
  readonly body: Json;
}

export async function putDeclaration(
  identifier: string,
  content: Json,
  precondition: Precondition,
): Promise<Answer> {
  const reply = await send(
    new Request(`${url}/api/v1/declarations/${encodeURIComponent(identifier)}`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${env.ADMIN_KEY}`,
        'content-type': 'application/json',
        [precondition === 'absent' ? 'if-none-match' : 'if-match']: '*',
      },
      body: JSON.stringify(content),
    }),
  );
  return { status: reply.status, body: (await reply.json()) as Json };
}

/** Creates or replaces, whatever is there. */
export async function declare(identifier: string, type: string, payload: Json): Promise<Json> {
  const created = await putDeclaration(identifier, { type, payload }, 'absent');
  const reply =
    created.status === 412 ? await putDeclaration(identifier, { type, payload }, 'present') : created;
  if (reply.status >= 300)
    throw new Error(`PUT ${identifier}: ${reply.status} ${JSON.stringify(reply.body)}`);
  return reply.body;
}
