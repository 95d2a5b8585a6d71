/** Commands that an iPhone takes and a watch does not: those of the catalog that this project may send to the pair's host. */
import type { Answer } from './answers.ts';
import type { DeviceFacts } from './facts.ts';
import { refusal } from './refusals.ts';

export function iphoneAnswers(facts: DeviceFacts): [string, Answer][] {
  let lost = false;
  const supervised =
    (answer: Answer): Answer =>
    (command) =>
      facts.supervised
        ? answer(command)
        : refusal(12032, 'MCMDMErrorDomain', 'The device is not supervised.');
  const inLostMode: Answer = () =>
    lost ? {} : refusal(12069, 'MCMDMErrorDomain', 'The device is not in Lost Mode.');
  const setLost = (value: boolean) =>
    supervised(() => {
      lost = value;
      return {};
    });
  return [
    ['RestartDevice', supervised(() => ({}))],
    ['ShutDownDevice', supervised(() => ({}))],
    ['EnableLostMode', setLost(true)],
    ['DisableLostMode', setLost(false)],
    ['PlayLostModeSound', supervised(inLostMode)],
    [
      'DeviceLocation',
      supervised((command) => (lost ? { Latitude: 37.3349, Longitude: -122.009 } : inLostMode(command))),
    ],
    ['DeviceConfigured', () => ({})],
    ['RefreshCellularPlans', () => ({})],
    ['ManagedApplicationFeedback', () => ({ ManagedApplicationFeedback: [] })],
    ['ValidateApplications', () => ({})],
    ['AvailableOSUpdates', () => ({ AvailableOSUpdates: [] })],
    ['OSUpdateStatus', () => ({ OSUpdateStatus: [] })],
  ];
}
