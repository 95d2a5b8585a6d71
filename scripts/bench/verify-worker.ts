/**
 * Runs inside workerd, bundled by the bench: the real verification beside the bare primitive that it cannot do
 * without, over the same bytes with the same key. `?op=…&n=…` does one of them n times; the bench takes the time.
 */
import { verifyMdmSignature } from '../../src/pki/mdm-signature.ts';

export interface VerifyFixture {
  readonly header: string;
  readonly body: string;
  /** Base64: the signature's key, and a signature over `body` made with it. */
  readonly spki: string;
  readonly signature: string;
  readonly kind: 'rsa' | 'ec';
}

interface Bindings {
  readonly FIXTURES: Readonly<Record<string, VerifyFixture>>;
}

const VERIFY = {
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
} as const;

type Operation = (fixture: VerifyFixture) => Promise<() => Promise<unknown>>;

const operations: Readonly<Record<string, Operation>> = {
  async nothing() {
    return async () => true;
  },
  async verify({ header, body }) {
    const bytes = Uint8Array.fromBase64(body);
    return async () => {
      const outcome = await verifyMdmSignature(header, bytes);
      if (!outcome.ok) throw new Error(outcome.refusal.kind);
    };
  },
  async bareVerify({ body, spki, signature, kind }) {
    const bytes = Uint8Array.fromBase64(body);
    const signed = Uint8Array.fromBase64(signature);
    const key = await crypto.subtle.importKey('spki', Uint8Array.fromBase64(spki), VERIFY[kind], false, [
      'verify',
    ]);
    return async () => {
      if (!(await crypto.subtle.verify(VERIFY[kind], key, signed, bytes))) throw new Error('does not verify');
    };
  },
};

const prepared = new Map<string, () => Promise<unknown>>();

export default {
  async fetch(request: Request, env: Bindings): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const op = query.get('op') ?? '';
    const fixture = query.get('fixture') ?? '';
    const name = `${op} of ${fixture}`;
    let operation = prepared.get(name);
    if (operation === undefined) {
      const make = operations[op];
      const data = env.FIXTURES[fixture];
      if (make === undefined || data === undefined) return new Response('unknown', { status: 404 });
      operation = await make(data);
      prepared.set(name, operation);
    }
    const times = Number(query.get('n'));
    for (let i = 0; i < times; i++) await operation();
    return new Response('done');
  },
};
