/** Locking, clearing the passcode, and erasing. What an erasure does to the pair is device.ts's and the pair's. */
import type { Answer } from './answers.ts';
import type { DeviceFacts } from './facts.ts';
import type { PlistDict } from './plist.ts';
import { refusal } from './refusals.ts';

export function securityAnswers(facts: DeviceFacts): [string, Answer][] {
  return [
    ['DeviceLock', (command) => lock(facts, command)],
    ['ClearPasscode', (command) => clearPasscode(facts, command['UnlockToken'])],
    [
      'EraseDevice',
      () => {
        facts.leaving = 'erased';
        return {};
      },
    ],
  ];
}

/** MessageResult says what became of the message; there is none without one. */
function lock(facts: DeviceFacts, command: PlistDict): PlistDict {
  facts.locked = true;
  if (command['Message'] === undefined && command['PhoneNumber'] === undefined) return {};
  return { MessageResult: facts.passcode ? 'Success' : 'NoPasscodeSet' };
}

function clearPasscode(facts: DeviceFacts, token: unknown): PlistDict {
  const own = facts.unlockToken;
  if (!(token instanceof Uint8Array) || own === null || !own.equals(token)) {
    return refusal(12003, 'MCMDMErrorDomain', 'The unlock token is not this device’s.');
  }
  facts.passcode = false;
  facts.locked = false;
  return {};
}
