/**
 * Reaches watches' objects. A call that failed on the way becomes `Unavailable`. Only calls that may safely happen
 * twice are tried again, on a new stub, when the runtime says that this may help: a challenge asked for twice is
 * two challenges, and a redemption whose answer was lost must not be reported as somebody else's.
 */
import type { PairingStore } from '../../domain/pairing/ports.ts';
import { once, repeatable } from '../stub.ts';
import type { PairingObject } from './object.ts';

type Namespace = Pick<DurableObjectNamespace<PairingObject>, 'getByName'>;

export function durablePairings(namespace: Namespace): PairingStore {
  const stub = (watchUdid: string) => namespace.getByName(watchUdid);
  return {
    challenge: (request, nowMs) => once(async () => stub(request.watchUdid).challenge(request, nowMs)),
    claim: (request, nowMs) => repeatable(async () => stub(request.watchUdid).claim(request, nowMs)),
    redeem: (redemption, nowMs) =>
      once(async () => stub(redemption.request.watchUdid).redeem(redemption, nowMs)),
    progress: (watchUdid, pairingId, step, nowMs) =>
      repeatable(async () => stub(watchUdid).progress(pairingId, step, nowMs)),
    history: (watchUdid) => repeatable(async () => stub(watchUdid).history()),
  };
}
