/**
 * What must hold of every exchange with a device, whatever the story: no answer that makes it unenroll, no command
 * after it was answered, one profile for a security token. Everything secret that passes is remembered, so that
 * logs and tables can be searched for it afterwards.
 */
import { Buffer } from 'node:buffer';

export interface Exchange {
  readonly path: string;
  readonly sent: Buffer;
  readonly status: number;
  readonly answered: Buffer;
}

/** Both kinds of answer make a device unenroll, and an iPhone that unenrolls erases its watch (design section 5). */
export function judgeAnswer({ path, status, answered }: Exchange): void {
  if (status === 401 || answered.includes('com.apple.unrecognized.device')) {
    throw new Error(`${path} answered ${status}, on which a device unenrolls`);
  }
}

const text = (bytes: Buffer, key: string, type = 'string') =>
  new RegExp(`<key>${key}</key>\\s*<${type}>([^<]*)`).exec(bytes.toString('latin1'))?.[1];
const data = (bytes: Buffer, key: string) => {
  const base64 = text(bytes, key, 'data');
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64');
};

const ANSWERS = ['Acknowledged', 'Error', 'CommandFormatError'];

/** Watches the command channel from outside: what was delivered, and what was answered and taken with a 200. */
export class QueueJudge {
  #clock = 0;
  readonly #delivered = new Set<string>();
  readonly #answeredAt = new Map<string, number>();

  begin(): number {
    return ++this.#clock;
  }

  end(startedAt: number, { sent, status, answered }: Exchange): void {
    const udid = text(sent, 'UDID') ?? '';
    const given = text(answered, 'CommandUUID');
    if (status === 200 && given !== undefined) {
      const key = `${udid} ${given}`;
      const answeredAt = this.#answeredAt.get(key);
      if (answeredAt !== undefined && answeredAt < startedAt)
        throw new Error(`command ${given} came again after it was answered`);
      this.#delivered.add(key);
    }
    const key = `${udid} ${text(sent, 'CommandUUID')}`;
    const isAnswer = status === 200 && ANSWERS.includes(text(sent, 'Status') ?? '');
    if (isAnswer && this.#delivered.has(key) && !this.#answeredAt.has(key))
      this.#answeredAt.set(key, ++this.#clock);
  }
}

/** Counts the profiles that each security token bought. */
export class ProfileJudge {
  readonly #bought = new Map<string, number>();

  see({ path, sent, status }: Exchange): void {
    const token = path === '/enroll/watch' && status === 200 ? data(sent, 'PAIRING_TOKEN') : undefined;
    if (token === undefined) return;
    const claims = Buffer.from(token.toString().split('.')[1] ?? '', 'base64url');
    const { nonce } = JSON.parse(claims.toString()) as { nonce: string };
    const count = (this.#bought.get(nonce) ?? 0) + 1;
    this.#bought.set(nonce, count);
    if (count > 1) throw new Error(`security token ${nonce} bought ${count} profiles`);
  }

  get profiles(): number {
    return this.#bought.size;
  }
}

export class SecretWatch {
  /** By what it is. Text as it stands, bytes as base64. */
  readonly secrets = new Map<string, string>();

  add(what: string, secret: string | Uint8Array | undefined): void {
    if (secret === undefined || secret.length < 8) return;
    const bytes = typeof secret === 'string' ? Buffer.from(secret) : Buffer.from(secret);
    if (typeof secret === 'string') this.secrets.set(secret, what);
    this.secrets.set(bytes.toString('base64').replace(/=+$/, ''), what);
    this.secrets.set(bytes.toString('hex'), what);
  }

  see({ path, sent, answered }: Exchange): void {
    if (path === '/mdm/checkin') {
      this.add('push token', data(sent, 'Token'));
      this.add('PushMagic', text(sent, 'PushMagic'));
      this.add('unlock token', data(sent, 'UnlockToken'));
      this.add('bootstrap token', data(sent, 'BootstrapToken'));
      this.add('pairing token', data(answered, 'TokenData')?.toString());
    }
    if (path.startsWith('/enroll/')) this.add('SCEP challenge', text(answered, 'Challenge'));
    if (path.startsWith('/enroll/link/')) this.add('link code', path.split('/')[3]);
  }

  /** The kinds of secret that stand in `haystack`, but for those excused. */
  foundIn(haystack: string, excused: readonly string[] = []): string[] {
    const found = [...this.secrets].filter(
      ([secret, what]) => !excused.includes(what) && haystack.includes(secret),
    );
    return [...new Set(found.map(([, what]) => what))];
  }
}
