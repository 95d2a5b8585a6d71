/**
 * Reaches the object of a one-time value by its name. A call that failed on the way becomes `Unavailable`; one
 * that is idempotent is tried once more, on a new stub, when the runtime says that this may help.
 * Taking a link is not idempotent, so it is never repeated: losing one link is better than using one twice.
 */
import type { ConsumeOutcome } from '../../domain/identity/credential.ts';
import type { IssuanceCell, IssuanceCells } from '../../domain/identity/issuance.ts';
import type { TakeOutcome } from '../../domain/identity/one-time-link.ts';
import { once, repeatable } from '../stub.ts';
import type { IssuanceObject } from './object.ts';

export function issuanceCells(namespace: DurableObjectNamespace<IssuanceObject>): IssuanceCells {
  return (name): IssuanceCell => {
    const stub = () => namespace.getByName(name);
    return {
      openCredential: (record) => repeatable(() => stub().openCredential(record)),
      consumeCredential: (claim, nowMs) =>
        repeatable<ConsumeOutcome>(async () => await stub().consumeCredential(claim, nowMs)),
      openLink: (record) => repeatable(() => stub().openLink(record)),
      takeLink: (nowMs) => once<TakeOutcome>(async () => await stub().takeLink(nowMs)),
    };
  };
}
