/** What the server decided, as the device protocol writes it (handbook sections 2 to 4). */
import type { CheckInAnswer } from '../../domain/enrollment/check-in.ts';
import { encodeBootstrapToken, encodeTokenData } from '../../protocol/mdm/get-token.ts';
import { encodePlist } from '../../protocol/plist/encode.ts';
import type { Bytes } from '../../std/bytes.ts';

const PLIST = { 'Content-Type': 'application/xml; charset=UTF-8' };

export function answerCheckIn(answer: CheckInAnswer): Response {
  switch (answer.kind) {
    case 'accepted':
      return new Response(null, { status: 200 });
    case 'token-data':
      return new Response(encodeTokenData(answer.token), { headers: PLIST });
    case 'bootstrap-token':
      // Nothing stored: Apple describes no answer for it. An empty dictionary says so without an error.
      return new Response(answer.token === null ? encodePlist({}) : encodeBootstrapToken(answer.token), {
        headers: PLIST,
      });
    case 'declarative':
      return new Response(answer.body, { headers: { 'Content-Type': 'application/json' } });
    default:
      return answer satisfies never;
  }
}

/** Zero bytes end the session; an empty property list would not. */
export function answerCommand(command: Bytes | null): Response {
  return command === null ? new Response(null, { status: 200 }) : new Response(command, { headers: PLIST });
}
