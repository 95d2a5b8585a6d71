/** Tells a device that its set changed: one DeclarativeManagement command with the newest token, never two waiting. */
import { encodeTokens } from '../../protocol/ddm/encode.ts';
import type { PlistDict, PlistValue } from '../../protocol/plist/value.ts';
import { Fault } from '../../std/outcome.ts';
import { type EpochMs, toTimestamp } from '../../std/time.ts';
import type { CommandQueue } from '../command/service.ts';
import { parseCommandUuid, type Udid } from '../ids.ts';

/** Where a device's set stands. */
export interface SyncPoint {
  readonly declarationsToken: string;
  readonly changedAtMs: EpochMs;
}

export class DeclarationSync {
  readonly #commands: CommandQueue;
  readonly #newUuid: () => string;

  constructor(commands: CommandQueue, newUuid: () => string) {
    this.#commands = commands;
    this.#newUuid = newUuid;
  }

  /**
   * Supersedes what waits and enqueues the new command. Said twice, the second command supersedes the first; a
   * device that has checked out meanwhile is left alone.
   */
  async declare(udid: Udid, point: SyncPoint, nowMs: EpochMs): Promise<void> {
    const commandUuid = parseCommandUuid(this.#newUuid());
    if (!commandUuid.ok) throw new Fault('command-uuid', 'a fresh UUID is no CommandUUID');
    const data = encodeTokens({
      declarationsToken: point.declarationsToken,
      timestamp: toTimestamp(point.changedAtMs),
    });
    const command: PlistDict = new Map<string, PlistValue>([
      ['RequestType', 'DeclarativeManagement'],
      ['Data', data],
    ]);
    await this.#commands.supersede(udid, 'DeclarativeManagement', nowMs);
    await this.#commands.enqueue(
      {
        udid,
        commandUuid: commandUuid.value,
        requestType: 'DeclarativeManagement',
        command,
        priority: 'normal',
        expiresAtMs: null,
        push: true,
      },
      nowMs,
    );
  }
}
