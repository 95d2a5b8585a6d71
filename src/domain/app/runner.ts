/**
 * Carries deployments on: reads one, looks at what it waits for, decides (transitions.ts), writes the decision against
 * the revision that it was made from, and only then acts on it. A step that is cut short anywhere is found again, by its
 * device's next message or by the sweeper, and repeated: a command's UUID is made from the deployment and its number, so
 * the queue takes it once. Nothing here waits for a device's outbox: this runs while one is being told.
 */
import {
  readErrorDescription,
  readInstallAnswer,
  readManagedStatus,
} from '../../protocol/mdm/app-answers.ts';
import { addMs, type EpochMs, MINUTE_MS } from '../../std/time.ts';
import type { CommandRecord, CommandService, EnqueueRefusal } from '../admin/command-services.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { Side } from './app.ts';
import { commandPlist } from './commands.ts';
import { deploymentCommandUuid } from './deployment-ids.ts';
import {
  type DeploymentEvent,
  type Machine,
  orderOf,
  sidesInOrder,
  type TimelineEntry,
  type Transition,
} from './machine.ts';
import type { ContentRefusal, OrderContents } from './order-contents.ts';
import type { Deployment, DeploymentDevices, DeploymentStore } from './ports.ts';
import { transition } from './transitions.ts';
import { fromReported } from './verdicts.ts';

/** From one answer to the next command are three or four; more come round again by themselves. */
const STEPS_MAX = 12;
/** Whoever has claimed one and was stopped gives it back after this. */
const LEASE_MS = 2 * MINUTE_MS;
/** The iPhone is another deployment's, which wakes this one when it leaves. Should that be lost: */
const BUSY_AGAIN_MS = 5 * MINUTE_MS;

/** What is kept of a command. Reads D1 alone. */
export type CommandResults = (
  udid: Udid,
  commandUuid: CommandUuid,
  nowMs: EpochMs,
) => Promise<Pick<CommandRecord, 'state' | 'result' | 'answeredAtMs'> | null>;

export interface RunnerOptions {
  readonly store: DeploymentStore;
  readonly contents: Pick<OrderContents, 'make'>;
  readonly commands: Pick<CommandService, 'enqueue'>;
  readonly results: CommandResults;
  readonly devices: DeploymentDevices;
}

interface Happened {
  readonly event: DeploymentEvent;
  readonly atMs: EpochMs;
}

export class DeploymentRunner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Those that are due, oldest first. Returns whether there may be more. */
  async advanceDue(
    nowMs: EpochMs,
    limit: number,
    onMissed: (id: string, error: unknown) => void,
  ): Promise<boolean> {
    const claimed = await this.#options.store.claimDue(nowMs, addMs(nowMs, LEASE_MS), limit);
    for (const id of claimed) {
      try {
        await this.advance(id, nowMs);
      } catch (error) {
        // It stays claimed, and is due again when that ends; the others go on.
        onMissed(id, error);
      }
    }
    return claimed.length === limit;
  }

  /** As far as it goes without anybody's answer. */
  async advance(deploymentId: string, nowMs: EpochMs): Promise<void> {
    for (let step = 0; step < STEPS_MAX; step++) {
      const deployment = await this.#options.store.find(deploymentId);
      if (deployment === null || !(await this.#step(deployment, nowMs))) return;
    }
  }

  /** By an administrator. False when it does not apply to the deployment as it is. */
  async apply(deployment: Deployment, event: DeploymentEvent, nowMs: EpochMs): Promise<boolean> {
    const next = transition(deployment.machine, event, nowMs);
    if (next === null) return false;
    return (await this.#save(deployment, next, nowMs)) === 'saved';
  }

  /** Returns whether to look again. */
  async #step(deployment: Deployment, nowMs: EpochMs): Promise<boolean> {
    if (deployment.machine.state !== 'running') return this.#clear(deployment, nowMs);
    if (deployment.machine.orders === 0) await this.#clearEarlier(deployment, nowMs);
    const happened = await this.#look(deployment, nowMs);
    const next = happened === null ? null : transition(deployment.machine, happened.event, happened.atMs);
    if (next === null) {
      await this.#options.store.rest(deployment, deployment.machine.dueAtMs);
      return false;
    }
    return this.#carryOut(deployment, next, nowMs);
  }

  async #carryOut(deployment: Deployment, next: Transition, nowMs: EpochMs): Promise<boolean> {
    switch (await this.#save(deployment, next, nowMs)) {
      case 'needed': {
        const skipped = transition(deployment.machine, { kind: 'still-needed' }, nowMs);
        return skipped !== null && this.#carryOut(deployment, skipped, nowMs);
      }
      case 'busy':
        await this.#options.store.rest(deployment, addMs(nowMs, BUSY_AGAIN_MS));
        return false;
      default:
        // Saved: what was decided is done by the next look, as it would be after a stop here. Stale: decide anew.
        return true;
    }
  }

  async #save(deployment: Deployment, { machine, order, entry }: Transition, nowMs: EpochMs) {
    const { deploymentId } = deployment;
    const made: TimelineEntry | null = entry === null ? null : { atMs: nowMs, ...entry };
    const commandUuid =
      order === null
        ? this.#commandLeft(deployment, machine)
        : await deploymentCommandUuid(deploymentId, machine.orders);
    return this.#options.store.save(deployment, { machine, commandUuid }, made, nowMs);
  }

  /** One that ended with its command out takes that back first. */
  #commandLeft({ commandUuid, machine: was }: Deployment, is: Machine): CommandUuid | null {
    if (is.state !== 'running') return isOut(was) ? commandUuid : null;
    return isOut(is) ? commandUuid : null;
  }

  /** What happened to what it waits for; null: nothing yet. */
  async #look(deployment: Deployment, nowMs: EpochMs): Promise<Happened | null> {
    const { machine, commandUuid } = deployment;
    const gone = await this.#gone(deployment);
    if (gone !== null) return { event: { kind: 'gone', side: gone }, atMs: nowMs };
    if (isOut(machine) && commandUuid !== null) return this.#lookAtCommand(deployment, commandUuid, nowMs);
    if (machine.phase === 'waiting') return { event: { kind: 'begin' }, atMs: nowMs };
    const reported = machine.phase === 'confirming' ? await this.#reported(deployment) : null;
    if (reported !== null && transition(machine, reported, nowMs) !== null)
      return { event: reported, atMs: nowMs };
    return { event: { kind: 'time' }, atMs: nowMs };
  }

  async #lookAtCommand(
    deployment: Deployment,
    commandUuid: CommandUuid,
    nowMs: EpochMs,
  ): Promise<Happened | null> {
    const { machine } = deployment;
    const udid = udidOf(deployment, machine.at);
    const command = await this.#options.results(udid, commandUuid, nowMs);
    if (command === null) return this.#enqueue(deployment, commandUuid, nowMs);
    switch (command.state) {
      case 'acknowledged':
        return { event: await this.#answer(deployment, command), atMs: command.answeredAtMs ?? nowMs };
      case 'error': {
        const reports = (await this.#reported(deployment)) !== null;
        const detail = readErrorDescription(command.result);
        const { rejection } = readInstallAnswer(command.result);
        const event = { kind: 'error', detail, rejection, reports } as const;
        return { event, atMs: command.answeredAtMs ?? nowMs };
      }
      case 'expired':
      case 'canceled':
        return { event: { kind: 'unanswered', how: command.state }, atMs: nowMs };
      default:
        return { event: { kind: 'time' }, atMs: nowMs };
    }
  }

  async #answer(deployment: Deployment, { result }: { readonly result: CommandRecord['result'] }) {
    const { machine } = deployment;
    if (machine.phase === 'asked') {
      const status = readManagedStatus(result, bundleIdOf(deployment, machine.at));
      return { kind: 'listed', status } as const;
    }
    const { state, rejection } = readInstallAnswer(result);
    const reports = (await this.#reported(deployment)) !== null;
    return { kind: 'taken', state, rejection, reports } as const;
  }

  async #reported(deployment: Deployment) {
    const { at } = deployment.machine;
    const app = await this.#options.devices.reported(udidOf(deployment, at), bundleIdOf(deployment, at));
    if (app === null) return null;
    const status = app.state === null ? null : fromReported(app.state);
    return { kind: 'reported', status, sinceMs: app.sinceMs } as const;
  }

  /** Queues what is out, or finds it queued. Null: it is. */
  async #enqueue(deployment: Deployment, commandUuid: CommandUuid, nowMs: EpochMs): Promise<Happened | null> {
    const order = orderOf(deployment.machine);
    if (order === null) return null;
    const content = await this.#options.contents.make(deployment, order, nowMs);
    if (!content.ok) return refused(content.refusal, nowMs);
    const { expiresAtMs, side } = order;
    const command = commandPlist(content.value);
    const queued = await this.#options.commands.enqueue(
      {
        ...{ udid: udidOf(deployment, side), commandUuid, requestType: String(content.value['RequestType']) },
        ...{ command, priority: 'normal', expiresAtMs, push: true },
      },
      nowMs,
    );
    // The UUID is this deployment's alone: what it names was queued by a step that ran before, and says what the app
    // said then.
    if (!queued.ok && queued.refusal.kind !== 'command-conflict') return refused(queued.refusal, nowMs);
    await this.#takeBackIfOver(deployment, commandUuid, nowMs);
    return null;
  }

  /** It ended while its command was being queued, so that whoever cleared up after it found none to take back. */
  async #takeBackIfOver(deployment: Deployment, commandUuid: CommandUuid, nowMs: EpochMs): Promise<void> {
    const now = await this.#options.store.find(deployment.deploymentId);
    if (now?.commandUuid === commandUuid) return;
    await this.#options.devices.withdraw(udidOf(deployment, deployment.machine.at), commandUuid, nowMs);
  }

  /** A side whose enrollment is over: a removal needs the one that it works on, whoever is to get an app needs all. */
  async #gone(deployment: Deployment): Promise<Side | null> {
    const { machine, phone } = deployment;
    const needed = machine.action === 'remove' ? [machine.at] : sidesInOrder(machine);
    for (const side of needed) {
      const isThere = side === 'watch' || phone !== null;
      if (!isThere || !(await this.#options.devices.isEnrolled(udidOf(deployment, side), machine.beganAtMs)))
        return side;
    }
    return null;
  }

  async #clear(deployment: Deployment, nowMs: EpochMs): Promise<boolean> {
    const { commandUuid, machine } = deployment;
    if (commandUuid === null) {
      await this.#options.store.rest(deployment, null);
      return false;
    }
    await this.#options.devices.withdraw(udidOf(deployment, machine.at), commandUuid, nowMs);
    await this.#options.store.cleared(deployment);
    return false;
  }

  /** What a deployment before this one left must not reach the device behind this one's commands. */
  async #clearEarlier(deployment: Deployment, nowMs: EpochMs): Promise<void> {
    for (const earlier of await this.#options.store.unclearedBefore(deployment))
      await this.#clear(earlier, nowMs);
  }
}

function refused(refusal: EnqueueRefusal | ContentRefusal, atMs: EpochMs): Happened {
  const reason = refusal.kind;
  const event = {
    kind: 'refused',
    reason,
    detail: detailOf(refusal),
    permanent: reason !== 'queue-full',
  } as const;
  return { event, atMs };
}

/** What the catalog has against the command, in words. */
function detailOf(refusal: EnqueueRefusal | ContentRefusal): string | null {
  const problems = 'problems' in refusal ? refusal.problems : 'problem' in refusal ? [refusal.problem] : [];
  const words = problems.map(({ path, expected }) => `${path}: ${expected}`);
  return words.length === 0 ? null : words.join('; ');
}

function isOut({ phase }: Machine): boolean {
  return phase === 'ordered' || phase === 'asked';
}

function udidOf({ watch, phone }: Deployment, side: Side): Udid {
  return side === 'watch' || phone === null ? watch : phone;
}

function bundleIdOf({ app, phoneBundleId }: Deployment, side: Side): string {
  return side === 'watch' || phoneBundleId === null ? app : phoneBundleId;
}
