/** Asking for a message of the queue: a queue that does not take it keeps no change from its answer. */
import { describe, expect, it } from 'vitest';
import { type FanoutMessage, QueueDue } from '../../../src/storage/queue/due.ts';

const noEvent = () => {
  throw new Error('nothing to tell');
};

describe('asking for another message', () => {
  it('sends one that names no device', async () => {
    const sent: unknown[] = [];
    const queue = { send: async (message: unknown) => void sent.push(message) };
    await new QueueDue(queue as unknown as Queue<FanoutMessage>, { event: noEvent }).ask();
    expect(sent).toEqual([{ kind: 'manifests' }]);
  });

  it('is no fault of the change when the queue does not take it', async () => {
    const send = () => Promise.reject(new Error('Queue sendBatch failed: Too Many Requests'));
    const events: unknown[] = [];
    const log = { event: (...event: unknown[]) => void events.push(event) };
    await expect(
      new QueueDue({ send } as unknown as Queue<FanoutMessage>, log).ask(),
    ).resolves.toBeUndefined();
    expect(events).toEqual([['queue-failed', { error: expect.stringContaining('Too Many Requests') }]]);
  });
});
