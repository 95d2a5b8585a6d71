/** Asking for a message of the queue: a queue that does not take it keeps no change from its answer. */
import { describe, expect, it } from 'vitest';
import { type FanoutMessage, QueueDue } from '../../../src/storage/queue/due.ts';

describe('asking for another message', () => {
  it('sends one that names no device', async () => {
    const sent: unknown[] = [];
    const queue = { send: async (message: unknown) => void sent.push(message) };
    await new QueueDue(queue as unknown as Queue<FanoutMessage>).ask();
    expect(sent).toEqual([{ kind: 'manifests' }]);
  });

  it('is no fault of the change when the queue does not take it', async () => {
    const send = () => Promise.reject(new Error('Queue sendBatch failed: Too Many Requests'));
    await expect(new QueueDue({ send } as unknown as Queue<FanoutMessage>).ask()).resolves.toBeUndefined();
  });
});
