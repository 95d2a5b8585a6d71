/** What the admin API needs of the command queue beyond queueing: listing by kind, and repeating what ended. */
import type { PlistDict } from '../../protocol/plist/value.ts';
import type {
  CommandPriority,
  CommandState,
  CommandSummary,
  Page,
  UnknownCommand,
  UnknownDevice,
} from './services.ts';

/** Those of which all that is given hold. */
export interface CommandFilter {
  readonly state: CommandState | null;
  readonly requestType: string | null;
}

export interface CommandPage extends Page<CommandSummary> {
  /** How many of the device's commands have not ended, whatever the filter. */
  readonly pending: number;
}

/** A command that ended, to be ordered anew. */
export interface RepeatableCommand {
  readonly requestType: string;
  readonly command: PlistDict;
  readonly priority: CommandPriority | null;
}

export type RepeatRefusal =
  | UnknownDevice
  | UnknownCommand
  | { readonly kind: 'command-not-ended'; readonly state: CommandState }
  /** It was done; doing it again must be asked for. */
  | { readonly kind: 'command-acknowledged' }
  /** The server makes and sends it by itself. */
  | { readonly kind: 'command-is-own' }
  /** What it said was not kept, or does not open with the storage key. */
  | { readonly kind: 'content-lost' };
