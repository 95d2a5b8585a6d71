/**
 * The watch that every record is tried on: supervised, watchOS 27, paired with an iPhone. Files that assets name are
 * served from memory under a host of their own; every exchange is kept for the records that are messages themselves.
 */
import { Buffer } from 'node:buffer';
import type { SimulatedPhone, SimulatedWatch } from '../../simulator/index.ts';
import { assignedPhone, newWorld, pairedWatch, send } from '../../support/front-door.ts';
import type { RecordTable } from './table.ts';

export const FILES = 'https://files.example.com';

export interface Heard {
  readonly path: string;
  readonly sent: Buffer;
  readonly status: number;
  readonly answered: Buffer;
}

export interface Story {
  readonly table: RecordTable;
  readonly phone: SimulatedPhone;
  readonly watch: SimulatedWatch;
  /** By identifier: what `FILES/identifier` serves. */
  readonly files: Map<string, { readonly type: string; readonly data: Buffer }>;
  readonly heard: Heard[];
}

export async function beginStory(table: RecordTable): Promise<Story> {
  const files: Story['files'] = new Map();
  const heard: Heard[] = [];
  const listen = async (request: Request): Promise<Response> => {
    const { origin, pathname } = new URL(request.url);
    if (origin === FILES) return fileResponse(files.get(pathname.slice(1)));
    const sent = Buffer.from(await request.clone().arrayBuffer());
    const response = await send(request);
    const answered = Buffer.from(await response.clone().arrayBuffer());
    heard.push({ path: pathname, sent, status: response.status, answered });
    return response;
  };
  const phone = await assignedPhone({ world: newWorld({ send: listen }) });
  const watch = await pairedWatch(phone, { osVersion: '27.0' });
  return { table, phone, watch, files, heard };
}

function fileResponse(file: { readonly type: string; readonly data: Buffer } | undefined): Response {
  if (file === undefined) return new Response(null, { status: 404 });
  return new Response(Uint8Array.from(file.data), { headers: { 'content-type': file.type } });
}
