/**
 * Cloudflare's REST API, as far as it is asked directly: what exists, and making it. Wrangler, which honors the same
 * `CLOUDFLARE_API_BASE_URL`, does what takes more than one request: migrations, secrets, uploading the Worker.
 */
import { Stop } from './site.ts';

const BASE_URL = 'https://api.cloudflare.com/client/v4';
const TIMEOUT_MS = 30_000;
/** Pages of 100 that are read of one list: more than an account may hold of anything that is listed here. */
const PAGES_MAX = 100;

export interface Credentials {
  readonly token: string;
  readonly account: string | null;
}

interface Envelope {
  readonly success?: boolean;
  readonly result?: unknown;
  readonly errors?: readonly { readonly code: number; readonly message: string }[];
  readonly result_info?: { readonly total_pages?: number };
}

export interface Refused {
  readonly status: number;
  readonly code: number;
  readonly message: string;
}

export class CloudflareApi {
  readonly baseUrl: string;
  readonly account: string;
  readonly #token: string;

  constructor(baseUrl: string, token: string, account: string) {
    this.baseUrl = baseUrl;
    this.account = account;
    this.#token = token;
  }

  /** For Wrangler, in the environment of its process alone. */
  environment(): Record<string, string> {
    return {
      CLOUDFLARE_API_BASE_URL: this.baseUrl,
      CLOUDFLARE_API_TOKEN: this.#token,
      CLOUDFLARE_ACCOUNT_ID: this.account,
    };
  }

  /** `null` when there is no such thing. `permission` is what the token lacks when it is refused. */
  async find(path: string, permission: string): Promise<unknown> {
    const answer = await this.#ask('GET', path, permission);
    return 'refused' in answer ? null : answer.result;
  }

  async list(path: string, permission: string): Promise<readonly Record<string, unknown>[]> {
    const all: Record<string, unknown>[] = [];
    for (let page = 1; page <= PAGES_MAX; page++) {
      const separator = path.includes('?') ? '&' : '?';
      const answer = await this.#ask('GET', `${path}${separator}page=${page}&per_page=100`, permission);
      if ('refused' in answer) return all;
      all.push(...((answer.result ?? []) as Record<string, unknown>[]));
      if (page >= (answer.pages ?? 1)) break;
    }
    return all;
  }

  async make(path: string, body: object, permission: string): Promise<Record<string, unknown>> {
    const answer = await this.#ask('POST', path, permission, body);
    if ('refused' in answer) throw fromRefusal(`POST ${path}`, answer.refused);
    return (answer.result ?? {}) as Record<string, unknown>;
  }

  async #ask(method: string, path: string, permission: string, body?: object) {
    const where = path.startsWith('/') ? path : `/accounts/${this.account}/${path}`;
    return await ask({ baseUrl: this.baseUrl, token: this.#token }, method, where, permission, body);
  }
}

export async function connect(credentials: Credentials): Promise<CloudflareApi> {
  const baseUrl = process.env['CLOUDFLARE_API_BASE_URL'] ?? BASE_URL;
  const { token } = credentials;
  if (credentials.account !== null) return new CloudflareApi(baseUrl, token, credentials.account);
  const answer = await ask({ baseUrl, token }, 'GET', '/accounts?per_page=50', 'Account Settings: Read');
  const accounts = ('refused' in answer ? [] : answer.result) as { id: string; name: string }[];
  const [only] = accounts;
  if (only !== undefined && accounts.length === 1) return new CloudflareApi(baseUrl, token, only.id);
  throw new Stop(
    accounts.length === 0
      ? 'The login reaches no account'
      : `The login reaches ${accounts.length} accounts: ${accounts.map(({ id, name }) => `${name} (${id})`).join(', ')}`,
    'Set CLOUDFLARE_ACCOUNT_ID to the one to deploy to.',
  );
}

type Answer = { readonly result: unknown; readonly pages?: number } | { readonly refused: Refused };

async function ask(
  to: { readonly baseUrl: string; readonly token: string },
  method: string,
  path: string,
  permission: string,
  body?: object,
): Promise<Answer> {
  const response = await send(`${to.baseUrl}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${to.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { success, result, errors, result_info } = await readEnvelope(response, path);
  if (response.ok && success !== false) return { result, pages: result_info?.total_pages ?? 1 };
  const { code, message } = errors?.[0] ?? { code: 0, message: 'no reason given' };
  const refused: Refused = { status: response.status, code, message };
  if (response.status === 404) return { refused };
  if (response.status === 401) {
    throw new Stop(`Cloudflare does not take the login (${code} ${message})`, LOGIN_FIX);
  }
  if (response.status === 403 && code !== R2_NOT_ENABLED) {
    throw new Stop(
      `The login may not ${method} ${path} (${code} ${message})`,
      `The API token needs the permission "${permission}", and the right account.`,
    );
  }
  throw fromRefusal(`${method} ${path}`, refused);
}

export const R2_NOT_ENABLED = 10042;
export const LOGIN_FIX =
  'Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN (and CLOUDFLARE_ACCOUNT_ID); docs/operations.md lists its permissions.';

/** Cloudflare's own reason; its code decides where somebody can do something about it. */
export class ApiRefusal extends Stop {
  readonly code: number;

  constructor(call: string, { status, code, message }: Refused) {
    super(
      `${call} answered ${status}: ${message} (${code})`,
      'Run the same command again; what is done is kept.',
    );
    this.code = code;
  }
}

function fromRefusal(call: string, refused: Refused): ApiRefusal {
  return new ApiRefusal(call, refused);
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    const reason = cause instanceof Error ? cause.message : String(error);
    throw new Stop(
      `Cloudflare's API cannot be reached (${new URL(url).host}: ${reason})`,
      'Check the network, then run the same command again; what is done is kept.',
    );
  }
}

async function readEnvelope(response: Response, path: string): Promise<Envelope> {
  const text = await response.text().catch(() => '');
  try {
    return JSON.parse(text);
  } catch {
    throw new Stop(
      `${path} answered ${response.status} without JSON: not Cloudflare's API, or a proxy in between`,
      'Check the network, then run the same command again; what is done is kept.',
    );
  }
}
