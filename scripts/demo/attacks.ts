/**
 * What someone would try, and why it fails: the reason is read from the pairing's timeline as the administrator
 * sees it, or, where a request never got as far as a pairing, from the Worker's log.
 */
import { importJWK, SignJWT } from 'jose';
import { attacks, type RefusalDocument, SimulatedPhone, SimulatedWatch } from '../../test/simulator/index.ts';
import { itemsOf, type Stage } from './stage.ts';
import { enrollPhone } from './story.ts';

interface Cast {
  readonly phone: SimulatedPhone;
  readonly watch: SimulatedWatch;
  /** The token that `watch` redeemed. */
  readonly usedToken: Buffer;
}

interface Outcome {
  /** The attacker got nothing. */
  readonly refused: boolean;
  readonly document: RefusalDocument | null;
}

interface Attack {
  readonly title: string;
  /** The reason that must be given. */
  readonly reason: RegExp;
  readonly attempt: () => Promise<Outcome>;
}

export async function attackAll(stage: Stage, cast: Cast): Promise<void> {
  for (const attack of await prepare(stage, cast)) {
    stage.timeline.title(`   ${attack.title}`);
    const since = Date.now();
    const logged = stage.log.length;
    const { refused, document } = await attack.attempt();
    const reason = await findReason(stage, since, logged, attack.reason);
    const { message } = document ?? {};
    if (typeof message === 'string') stage.timeline.note(`the watch would show: “${message}”`);
    stage.expect.that(refused && attack.reason.test(reason), `refused: ${reason}`);
  }
}

async function prepare(stage: Stage, { phone, watch, usedToken }: Cast): Promise<Attack[]> {
  const { world } = stage;
  const url = phone.watchEnrollmentUrl() ?? '';
  const newWatch = async (name: string, options = {}) => {
    const made = await SimulatedWatch.create(world, { name, ...options });
    made.useEnrollmentUrl(url);
    return made;
  };
  const refusal = async (answer: Promise<attacks.AttackAnswer>): Promise<Outcome> => {
    const { succeeded, document } = await answer;
    return { refused: !succeeded, document };
  };
  return [
    {
      title: 'A token is presented a second time',
      reason: /^challenge-consumed/,
      attempt: () => refusal(attacks.replayedToken(watch, usedToken)),
    },
    {
      title: 'A watch presents the token of another',
      reason: /^token-other-watch/,
      attempt: async () => {
        const token = await attacks.obtainToken(await newWatch('Watch B'), phone);
        return refusal(attacks.tokenOfAnotherWatch(await newWatch('thief'), token));
      },
    },
    {
      title: 'An iPhone without watch enrollment asks for a token',
      reason: /^phone-not-assigned/,
      attempt: async () => {
        const other = await SimulatedPhone.create(world, { name: 'iPhone B' });
        await enrollPhone(stage, other);
        return refusal(attacks.tokenFromUnassignedPhone(other, await newWatch('Watch C')));
      },
    },
    {
      title: 'MachineInfo is signed by a made-up authority of Apple’s name',
      reason: /^machine-info-unverified/,
      attempt: async () => {
        const forger = await attacks.forgedWatch(world, { name: 'forger' });
        forger.useEnrollmentUrl(url);
        return refusal(attacks.presentedToken('forged MachineInfo', forger, usedToken));
      },
    },
    {
      title: 'A token is past its time (this server’s own, signed eleven minutes ago)',
      reason: /^token-expired/,
      attempt: async () => {
        const late = await newWatch('late Watch');
        const token = await backdated(stage, await attacks.obtainToken(late, phone), 11 * 60);
        return refusal(attacks.presentedToken('expired token', late, token));
      },
    },
    {
      title: 'Two watches of one UDID race on one token: one may win',
      reason: /^challenge-consumed/,
      attempt: async () => {
        const genuine = await newWatch('Watch D');
        const clone = await newWatch('clone', { udid: genuine.udid, serial: genuine.serial });
        const token = await attacks.obtainToken(genuine, phone);
        const answers = await attacks.race([genuine, clone], token);
        const winners = answers.filter((answer) => answer.profile !== undefined);
        return { refused: winners.length === 1, document: null };
      },
    },
  ];
}

/** The same claims, `seconds` earlier, signed with the server's own key: nothing but its age is wrong. */
async function backdated({ stack }: Stage, token: Uint8Array, seconds: number): Promise<Buffer> {
  const { header, claims } = attacks.readJws(token);
  const [jwk] = (JSON.parse(stack.tokenKeys) as { keys: Parameters<typeof importJWK>[0][] }).keys;
  if (jwk === undefined) throw new Error('no token key');
  const moved = { ...claims, iat: Number(claims['iat']) - seconds, exp: Number(claims['exp']) - seconds };
  const signed = await new SignJWT(moved)
    .setProtectedHeader(header as { alg: string })
    .sign(await importJWK(jwk, 'ES256'));
  return Buffer.from(signed);
}

const PATIENCE_MS = 5000;

async function findReason(stage: Stage, since: number, logged: number, wanted: RegExp): Promise<string> {
  const givenUpAt = Date.now() + PATIENCE_MS;
  for (;;) {
    const pairings = await stage.admin.until('pairings?limit=50', () => true);
    const reasons = itemsOf(pairings)
      .flatMap((pairing) => itemsOf(pairing, 'timeline'))
      .filter((entry) => entry['outcome'] === 'refused' && Date.parse(String(entry['at'])) >= since)
      .map((entry) => String(entry['reason']));
    const found = reasons.find((reason) => wanted.test(reason)) ?? loggedReason(stage.log.slice(logged));
    if (found !== null && wanted.test(found)) return found;
    if (Date.now() > givenUpAt) return found ?? reasons[0] ?? 'no reason was given';
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Of the last refusal that the Worker logged: its kind, and the detail that only the log has. */
function loggedReason(lines: readonly string[]): string | null {
  for (const line of lines.toReversed()) {
    if (!line.startsWith('{')) continue;
    const { refusal, reason } = JSON.parse(line) as { refusal?: string; reason?: string };
    if (refusal !== undefined)
      return reason === undefined ? refusal : `${refusal} (${reason.replace(/^detail /, '')})`;
  }
  return null;
}
