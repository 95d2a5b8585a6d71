/**
 * The DeclarativeManagement command of one device: it tells the device where its manifest stands (handbook section
 * 4.1). The object makes it by itself when the device connects, with the token as of then; D1 only gets the record of
 * it, so that a change of 10,000 manifests costs D1 nothing until the devices come.
 *
 * Invariant: there is at most one, waiting or out. A change while it waits keeps its UUID; a change while it is out
 * makes another due when that one is answered. Put off, it waits again under its UUID and takes the newest token.
 */
import type { Outstanding } from '../../domain/command/queue.ts';
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import { type CommandUuid, parseCommandUuid, type Udid } from '../../domain/ids.ts';
import { encodeTokens } from '../../protocol/ddm/encode.ts';
import { encodeCommand } from '../../protocol/mdm/connect.ts';
import { readUtf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { type EpochMs, toTimestamp } from '../../std/time.ts';
import type { DeviceStore } from './store.ts';

const REQUEST_TYPE = 'DeclarativeManagement';
/** In place of the token that a command went out with: no manifest has it. */
const OUTDATED = '';

export class DeclareCommand {
  readonly #store: DeviceStore;
  readonly #newUuid: () => string;

  constructor(store: DeviceStore, newUuid: () => string) {
    this.#store = store;
    this.#newUuid = newUuid;
  }

  /** The device must be told. One that waits will say it; after one that is out, `ended` makes the next. */
  require(): void {
    const { declare, progress } = this.#store;
    // Even if it changes back before the answer: the device may have fetched what stood between.
    if (declare !== null && declare.deliveredToken !== null)
      this.#store.saveDeclare({ ...declare, deliveredToken: OUTDATED });
    if (declare !== null || progress.declarationsToken === null) return;
    const commandUuid = parseCommandUuid(this.#newUuid());
    if (!commandUuid.ok) throw new Fault('command-uuid', 'a fresh UUID is no CommandUUID');
    this.#store.saveDeclare({ commandUuid: commandUuid.value, deliveredToken: null });
  }

  /** The command as it goes out now, and what D1 is told of it. Null when none is due in this session. */
  deliver(
    udid: Udid,
    nowMs: EpochMs,
  ): { readonly outstanding: Outstanding; readonly message: DeviceMessage } | null {
    const { declare, declareWaits, enrollment, progress } = this.#store;
    const { declarationsToken } = progress;
    if (declare === null || !declareWaits || enrollment === null || declarationsToken === null) return null;
    const { commandUuid } = declare;
    const timestamp = toTimestamp(progress.manifestAtMs ?? nowMs);
    const Data = encodeTokens({ declarationsToken, timestamp });
    const body = encodeCommand(commandUuid, { RequestType: REQUEST_TYPE, Data });
    this.#store.saveDeclare({ commandUuid, deliveredToken: declarationsToken });
    return {
      outstanding: {
        commandUuid,
        requestType: REQUEST_TYPE,
        body: { sealed: false, bytes: body },
        deliveredAtMs: nowMs,
        expiresAtMs: null,
        deliveries: 1,
        notNows: 0,
      },
      message: {
        kind: 'declared',
        udid,
        enrollmentId: enrollment.enrollmentId,
        commandUuid,
        requestType: REQUEST_TYPE,
        body: readUtf8(body) ?? '',
        atMs: nowMs,
      },
    };
  }

  /** NotNow. */
  putOff(commandUuid: CommandUuid): void {
    if (this.#is(commandUuid)) this.#store.saveDeclare({ commandUuid, deliveredToken: null });
  }

  /** It was answered or given up. If the manifest changed since it went out, the device is to be told again. */
  ended(commandUuid: CommandUuid): void {
    const { declare, progress } = this.#store;
    if (!this.#is(commandUuid)) return;
    this.#store.saveDeclare(null);
    if (declare?.deliveredToken !== progress.declarationsToken) this.require();
  }

  /** Taken back by an administrator: the device is told of the next change. */
  canceled(commandUuid: CommandUuid): void {
    if (this.#is(commandUuid)) this.#store.saveDeclare(null);
  }

  #is(commandUuid: CommandUuid): boolean {
    return this.#store.declare?.commandUuid === commandUuid;
  }
}
