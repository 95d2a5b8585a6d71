import { describe, expect, it } from 'vitest';
import { TIMELINE_ENTRIES_MAX, TIMELINE_RESERVED } from '../../../src/domain/pairing/limits.ts';
import { advance, beginPairing, isForward, type Pairing } from '../../../src/domain/pairing/states.ts';
import { epochMs } from '../../../src/std/time.ts';
import { PHONE, SERIAL, steps, udid } from '../../support/pairing.ts';

const AT = epochMs(Date.UTC(2026, 0, 31, 12, 0, 0, 123));

function begun(): Pairing {
  const identity = { pairingId: 'P', watchUdid: udid('WATCH-0001'), watchSerial: SERIAL, securityToken: 'S' };
  return advance(beginPairing(identity, AT), { step: 'challenged', detail: 'signer CN only' }, AT);
}

function redeemed(): Pairing {
  const claimed = advance({ ...begun(), phoneUdid: PHONE }, { step: 'claimed' }, AT);
  return advance({ ...claimed, redeemedAtMs: AT }, { step: 'redeemed' }, AT);
}

describe('a pairing', () => {
  it('writes each step with its time in milliseconds and its detail', () => {
    expect(begun().timeline).toEqual([
      { at: '2026-01-31T12:00:00.123Z', step: 'challenged', outcome: 'ok', detail: 'signer CN only' },
    ]);
  });

  it('goes forward through every state', () => {
    let pairing = redeemed();
    for (const step of ['identity-issued', 'authenticated', 'enrolled'] as const) {
      pairing = advance(pairing, { step }, AT);
      expect(pairing.state).toBe(step);
    }
    expect(pairing.revision).toBe(6);
  });

  it('may skip a step but not go back', () => {
    const pairing = advance(redeemed(), { step: 'enrolled' }, AT);
    expect(pairing.state).toBe('enrolled');
    expect(isForward(pairing, 'authenticated')).toBe(false);
    expect(isForward(pairing, 'enrolled')).toBe(false);
  });

  it('keeps its state when a step is refused', () => {
    const pairing = advance(redeemed(), { step: 'redeemed', reason: 'challenge-consumed' }, AT);
    expect(pairing.state).toBe('redeemed');
    expect(pairing.reason).toBeNull();
    expect(pairing.timeline.at(-1)).toMatchObject({ outcome: 'refused', reason: 'challenge-consumed' });
  });

  it('ends expired or refused, with the reason of its state', () => {
    const expired = advance(begun(), { step: 'expired', reason: 'not-claimed' }, AT);
    expect(expired).toMatchObject({ state: 'expired', reason: 'not-claimed' });
    const refused = advance(begun(), { step: 'refused', reason: 'phone-not-assigned' }, AT);
    expect(refused).toMatchObject({ state: 'refused', reason: 'phone-not-assigned' });
  });

  it('that expired after redemption is overtaken by a late device, and loses the reason', () => {
    const expired = advance(redeemed(), { step: 'expired', reason: 'no-identity' }, AT);
    expect(isForward(expired, 'authenticated')).toBe(true);
    expect(advance(expired, { step: 'authenticated' }, AT)).toMatchObject({
      state: 'authenticated',
      reason: null,
    });
  });

  it('that expired or was refused before redemption stays so', () => {
    const expired = advance(begun(), { step: 'expired', reason: 'not-claimed' }, AT);
    expect(isForward(expired, 'enrolled')).toBe(false);
    const refused = advance(begun(), { step: 'refused', reason: 'phone-unsupervised' }, AT);
    expect(isForward(refused, 'claimed')).toBe(false);
  });

  it('never goes back in time', () => {
    const pairing = advance(begun(), { step: 'claimed' }, epochMs(AT - 5000));
    expect(pairing.updatedAtMs).toBe(AT);
  });
});

describe('a timeline', () => {
  it('counts further repeats in its last entry once it is full', () => {
    let pairing = begun();
    for (let i = 0; i < 200; i++)
      pairing = advance(pairing, { step: 'redeemed', reason: 'token-expired' }, AT);
    const full = TIMELINE_ENTRIES_MAX - TIMELINE_RESERVED;
    expect(pairing.timeline).toHaveLength(full);
    expect(pairing.timeline.at(-1)?.repeats).toBe(201 - full);
    expect(pairing.revision).toBe(full);
  });

  it('keeps room for every step that goes well for the first time, however many refusals came before', () => {
    let pairing = begun();
    for (let i = 0; i < 500; i++)
      pairing = advance(pairing, { step: 'claimed', reason: 'phone-mismatch' }, AT);
    pairing = { ...pairing, phoneUdid: PHONE, redeemedAtMs: AT };
    for (const step of ['claimed', 'redeemed', 'identity-issued'] as const) {
      pairing = advance(pairing, { step }, AT);
      for (let i = 0; i < 100; i++)
        pairing = advance(pairing, { step: 'redeemed', reason: 'token-signature' }, AT);
    }
    pairing = advance(pairing, { step: 'expired', reason: 'no-identity' }, AT);
    for (const step of ['authenticated', 'enrolled'] as const) pairing = advance(pairing, { step }, AT);
    const all = steps(pairing.timeline);
    expect(all).toEqual(expect.arrayContaining(['claimed', 'redeemed', 'identity-issued', 'authenticated']));
    expect(all.at(-1)).toBe('enrolled');
    expect(pairing.timeline.length).toBeLessThanOrEqual(TIMELINE_ENTRIES_MAX);
  });

  it('cuts a long detail', () => {
    const pairing = advance(begun(), { step: 'claimed', detail: 'x'.repeat(1000) }, AT);
    expect(pairing.timeline.at(-1)?.detail).toHaveLength(120);
  });
});
