/**
 * One session of the command protocol (facts 3): Idle, then the result of each command, until a 200 without a body.
 * Also the judge of the queue: a command that was answered never comes again, and a session ends.
 */
import { Buffer } from 'node:buffer';
import type { SyncLog } from './ddm.ts';
import { isDict, type PlistDict, readDict } from './plist.ts';
import type { Reply, SimulatorError } from './world.ts';

export type CommandStatus = 'Acknowledged' | 'Error' | 'CommandFormatError' | 'NotNow';

export interface AnsweredCommand {
  readonly commandUuid: string;
  readonly requestType: string;
  readonly status: CommandStatus;
}

export interface ConnectLog {
  readonly commands: readonly AnsweredCommand[];
  /** The run of declarative management that a command asked for, if one did. */
  readonly sync: SyncLog | null;
  /** Whether a status report went out. */
  readonly reported: boolean;
}

export interface ConnectOptions {
  /** True answers NotNow instead. */
  readonly notNow?: (requestType: string) => boolean;
  /** A result that an earlier session could not send is said first; without, it is forgotten and Idle is said. */
  readonly resume?: boolean;
}

/** A result that the server may not have got. */
export interface Unsent extends AnsweredCommand {
  readonly fields: PlistDict;
}

export interface SessionHost {
  /** Said first, in place of Idle, when there is one. */
  readonly unsent: { result: Unsent | null };
  /** Results that the server took with a 200. */
  readonly answered: Map<string, CommandStatus>;
  report(fields: PlistDict, sent: string): Promise<Reply>;
  answer(requestType: string, command: PlistDict): Promise<PlistDict>;
  /** A DeclarativeManagement command is acknowledged; `tokens` is what it carried. */
  asked(tokens: Buffer | null): void;
  resends(): boolean;
  /** A command just ended the enrollment: its result is the last thing said. */
  isLeaving(): boolean;
  error(expected: string, got: string): SimulatorError;
}

export interface Session {
  readonly commands: readonly AnsweredCommand[];
}

/** A server that never ends a session is wrong, or has a test's whole queue in it. */
const COMMANDS_MAX = 2000;
/** A deferred command may come once more when an Idle was delivered twice; a third time is a loop. */
const DEFERRALS_MAX = 1;

export async function runSession(host: SessionHost): Promise<Session> {
  const commands: AnsweredCommand[] = [];
  const deferrals = new Map<string, number>();
  const report = async (fields: PlistDict, sent: string) =>
    readCommand(host, await host.report(fields, sent));

  const tell = async (result: Unsent) => {
    const { commandUuid, requestType, status, fields } = result;
    // The device keeps it until the server has it: a connection may break before.
    host.unsent.result = result;
    let next = await report(fields, `${requestType} ${status}`);
    if (host.resends()) next = await report(fields, `${requestType} ${status}, again`);
    host.unsent.result = null;
    commands.push({ commandUuid, requestType, status });
    if (status === 'NotNow') deferrals.set(commandUuid, (deferrals.get(commandUuid) ?? 0) + 1);
    else host.answered.set(commandUuid, status);
    return next;
  };

  const before = host.unsent.result;
  let command = before === null ? await report({ Status: 'Idle' }, 'Idle') : await tell(before);
  while (command !== null && !host.isLeaving()) {
    const { commandUuid, requestType, body } = command;
    if (host.answered.has(commandUuid)) throw host.error('no command that was answered', commandUuid);
    if ((deferrals.get(commandUuid) ?? 0) > DEFERRALS_MAX)
      throw host.error('another command or none after NotNow', commandUuid);
    if (commands.length >= COMMANDS_MAX)
      throw host.error('an end of the session', `${commands.length} commands`);
    const fields: PlistDict = { ...(await host.answer(requestType, body)), CommandUUID: commandUuid };
    const status = String(fields['Status']) as CommandStatus;
    // The device has the command from here on, whether or not its answer arrives.
    if (requestType === 'DeclarativeManagement' && status === 'Acknowledged') {
      host.asked(body['Data'] instanceof Uint8Array ? Buffer.from(body['Data']) : null);
    }
    command = await tell({ commandUuid, requestType, status, fields });
  }
  return { commands };
}

function readCommand(host: SessionHost, reply: Reply) {
  if (reply.status !== 200) throw host.error('200 for connect', `${reply.status} ${reply.body.toString()}`);
  if (reply.body.length === 0) return null;
  const document = readDict(reply.body);
  const { CommandUUID: commandUuid, Command: body } = document;
  const requestType = isDict(body) ? body['RequestType'] : undefined;
  if (typeof commandUuid !== 'string' || typeof requestType !== 'string' || !isDict(body)) {
    throw host.error('CommandUUID and Command.RequestType', Object.keys(document).join(', '));
  }
  return { commandUuid, requestType, body };
}
