/** A simulated APNs, for Node alone: it listens. `main.ts` runs it as a process. */
export { type Behavior, EVERY_TOKEN } from './behaviors.ts';
export { ApnsAuthority, type PemPair } from './certificates.ts';
export { ApnsControl } from './control.ts';
export type { Delivery } from './mailbox.ts';
export { REASONS, type Reason } from './reasons.ts';
export type { ReceivedPush } from './request.ts';
export { type ApnsOptions, type Counts, type GoawayPlan, SimulatedApns } from './server.ts';
