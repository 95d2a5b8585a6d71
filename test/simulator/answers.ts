/**
 * What a device answers to each command of facts 15 (the 21 that watchOS 10 takes), with the response keys of
 * Apple's schema, by room: apps, information, profiles, security. An answer is merged into the result; it may set
 * `Status` itself. What is not in the map is answered the way a device answers what it does not know: `Error`,
 * MCMDMErrorDomain 12021. A right that the enrollment profile did not give is refused (facts 6).
 */
import { appAnswers } from './apps.ts';
import type { DeviceFacts } from './facts.ts';
import { informationAnswers } from './information.ts';
import { iphoneAnswers } from './iphone-answers.ts';
import type { PlistDict } from './plist.ts';
import { profileAnswers } from './profiles.ts';
import { refusal, unknownCommand } from './refusals.ts';
import { securityAnswers } from './security.ts';

export type Answer = (command: PlistDict) => PlistDict | Promise<PlistDict>;

/** Bits of AccessRights. DeviceInformation is partly free (facts 15, "Special Case"). */
const RIGHTS: Readonly<Record<string, number>> = {
  ProfileList: 1,
  CertificateList: 1,
  InstallProfile: 2,
  RemoveProfile: 2,
  DeviceLock: 4,
  ClearPasscode: 4,
  EraseDevice: 8,
  ProvisioningProfileList: 64,
  InstallProvisioningProfile: 128,
  RemoveProvisioningProfile: 128,
  InstalledApplicationList: 256,
  Restrictions: 512,
  SecurityInfo: 1024,
  Settings: 2048,
  InstallApplication: 4096,
  RemoveApplication: 4096,
  ManagedApplicationList: 4096,
  ManagedApplicationAttributes: 4096,
  ManagedApplicationConfiguration: 4096,
};

export function answersOf(facts: DeviceFacts): Map<string, Answer> {
  return new Map<string, Answer>([
    ...informationAnswers(facts),
    ...appAnswers(facts),
    ...profileAnswers(facts),
    ...securityAnswers(facts),
    ['DeclarativeManagement', () => ({})],
    ...(facts.family === 'Watch' ? [] : iphoneAnswers(facts)),
  ]);
}

/** The result's own keys and Status. */
export async function answerTo(
  answers: ReadonlyMap<string, Answer>,
  facts: DeviceFacts,
  requestType: string,
  command: PlistDict,
): Promise<PlistDict> {
  const answer = answers.get(requestType);
  if (answer === undefined) return unknownCommand(requestType);
  const right = RIGHTS[requestType] ?? 0;
  if (((facts.enrollment()?.accessRights ?? 0) & right) !== right) {
    return refusal(12011, 'MCMDMErrorDomain', `The enrollment does not permit ${requestType}.`);
  }
  return { Status: 'Acknowledged', ...(await answer(command)) };
}
