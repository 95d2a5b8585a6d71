/** A device that is told of its manifest: what it is given, what D1 keeps of that, and how often it was woken. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { expect, vi } from 'vitest';
import type { ReportStatus } from '../../src/domain/command/queue.ts';
import type { ManifestEntry } from '../../src/domain/declaration/manifest.ts';
import type { CommandUuid } from '../../src/domain/ids.ts';
import { readUtf8 } from '../../src/std/bytes.ts';
import { commandIn, connect, countingSql, exchange, fleet, START, type TestDevice } from './device.ts';
import { value } from './pairing.ts';

const logged: string[] = [];

/** Instead of the console, for `wakes`. */
export function listen(): void {
  vi.spyOn(console, 'log').mockImplementation((line: string) => {
    logged.push(line);
  });
}

export const entry = (serverToken = 't1', identifier = 'a'): ManifestEntry => ({
  kind: 'configuration',
  identifier,
  serverToken,
});

/** The manifest of `token`, past the assignments: only for stories in which nothing is compiled. */
export const change = (device: TestDevice, token: string, nowMs = START) =>
  device.object.setManifest([entry(token)], `token-${token}`, nowMs);

export interface Given {
  readonly uuid: CommandUuid;
  /** DeclarationsToken, and null for another command. */
  readonly token: string | null;
  readonly text: string;
}

export async function say(
  device: TestDevice,
  status: ReportStatus = 'Idle',
  uuid: CommandUuid | null = null,
  over: Parameters<typeof exchange>[3] = {},
): Promise<Given | null> {
  const body = await exchange(device, status, uuid, over);
  if (body === null) return null;
  const text = readUtf8(body) ?? '';
  const data = /<data>([^<]+)/.exec(text)?.[1]?.replace(/\s/g, '');
  const tokens = data === undefined ? null : JSON.parse(atob(data)).SyncTokens;
  return { uuid: commandIn(body), token: tokens?.DeclarationsToken ?? null, text };
}

/** What must come. */
export async function given(...args: Parameters<typeof say>): Promise<Given> {
  const answer = await say(...args);
  if (answer === null) throw new Error('nothing was given');
  return answer;
}

/** DeclarativeManagement commands of the device, as administrators see them, newest first. */
export async function listed(device: TestDevice): Promise<(string | null)[][]> {
  await device.object.flush();
  const page = value(
    await fleet.commands.list(
      device.udid,
      { state: null, requestType: null },
      { cursor: null, limit: 100 },
      START,
    ),
  );
  return page.items
    .filter((one) => one.requestType === 'DeclarativeManagement')
    .map((one) => [one.commandUuid, one.state]);
}

/** Statements of a poll by which nothing comes, when everything was told and no alarm is left. */
export async function pollCost(device: TestDevice): Promise<{ d1: number; objects: number }> {
  await device.object.flush();
  await runDurableObjectAlarm(device.stub);
  const { result, d1, objects } = await countingSql(() => connect(device));
  expect(result).toBeNull();
  return { d1, objects };
}

/** How often the device was woken, as the log has it; the console's lines go there. */
export async function wakes(device: TestDevice): Promise<number> {
  await device.object.flush();
  return logged.filter((line) => line.includes('"wake"') && line.includes(device.udid)).length;
}
