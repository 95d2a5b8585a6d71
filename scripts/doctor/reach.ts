/** Whether the address answers as this server does: name, connection, TLS, and nothing in between. */
import { connect as connectTls } from 'node:tls';
import { bad, expiry, type Finding, fine, warning } from './finding.ts';

const TIMEOUT_MS = 10_000;
const PAUSE_MS = 3000;
/** Pairing tokens live 10 minutes, and devices judge certificates by their own clocks. */
const SKEW_MS_MAX = 60_000;
/** The edge renews its certificates by itself a month before they end. */
const TLS_WARN_DAYS = 14;

export async function request(url: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(url, { redirect: 'manual', ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
}

export type Reached =
  | { readonly ok: true; readonly health: Response; readonly finding: Finding }
  | { readonly ok: false; readonly finding: Finding };

/** Asks again for as long as `patienceMs`: a new name or certificate takes a while. */
export async function reach(url: string, patienceMs: number): Promise<Reached> {
  for (const givenUpAt = performance.now() + patienceMs; ; ) {
    const reached = await reachOnce(url);
    if (reached.ok || performance.now() > givenUpAt) return reached;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function reachOnce(url: string): Promise<Reached> {
  try {
    const health = await request(`${url}/healthz`);
    const stranger = strangerIn(health);
    return stranger === null
      ? { ok: true, health, finding: fine('reachability', '/healthz answers') }
      : { ok: false, finding: stranger };
  } catch (error) {
    return { ok: false, finding: unreachable(url, error) };
  }
}

/** What stands before the server, if anything does: devices cannot pass it. */
export function strangerIn(response: Response): Finding | null {
  const type = response.headers.get('content-type') ?? '';
  const location = response.headers.get('location');
  if (response.headers.has('cf-mitigated')) {
    return bad(
      'reachability',
      'Cloudflare challenges visitors of this address',
      'Take the host out of bot protection and WAF challenges (Security): devices cannot solve them.',
    );
  }
  if (location !== null) {
    return bad(
      'reachability',
      `it redirects to ${location}`,
      'Remove redirect rules and Cloudflare Access from this host: devices follow neither.',
    );
  }
  if (/text\/html/.test(type)) {
    return bad(
      'reachability',
      `something else answers (${response.status}, HTML)`,
      'Check that the address is that of the Worker: routes in the dashboard, DNS, proxies.',
    );
  }
  return null;
}

function unreachable(url: string, error: unknown): Finding {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  const code = cause?.code ?? (error as Error).name;
  const { hostname } = new URL(url);
  const fixes: readonly [RegExp, string][] = [
    [
      /ENOTFOUND|EAI_AGAIN/,
      `Nobody knows the name ${hostname}: check DNS, or wait some minutes after deploying.`,
    ],
    [/ECONNREFUSED/, 'Nothing listens there: check the address and its port.'],
    [/CERT|TLS|SSL/, `The certificate is not for ${hostname}, or not trusted: devices refuse it as well.`],
    [/Timeout|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH/, 'Check the network here, and firewalls on the way.'],
  ];
  const fix = fixes.find(([pattern]) => pattern.test(code))?.[1] ?? 'Check the address and the network.';
  return bad('reachability', `${url} cannot be reached (${code})`, fix);
}

/** Against the clock here, so one of the two is wrong. */
export function judgeClock(response: Response, nowMs: number): Finding {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return warning('clock', 'the answer has no Date', 'Check what is in between.');
  const skew = Math.abs(date - nowMs);
  return skew > SKEW_MS_MAX
    ? bad(
        'clock',
        `here and there differ by ${Math.round(skew / 1000)} s`,
        'Set the clock here (NTP). Cloudflare keeps its own; devices and tokens go by it.',
      )
    : fine('clock', `agrees within ${Math.ceil(skew / 1000)} s`);
}

/** The certificate that devices see; none of plain http. */
export function judgeTls(url: string, nowMs: number): Promise<Finding> {
  const { hostname, port, protocol } = new URL(url);
  if (protocol !== 'https:') {
    return Promise.resolve(
      warning(
        'certificates',
        'plain http, for this machine alone',
        'Devices need https: deploy, or use a tunnel.',
      ),
    );
  }
  return new Promise((resolve) => {
    const socket = connectTls({ host: hostname, port: Number(port || 443), servername: hostname }, () => {
      const { valid_to: validTo } = socket.getPeerCertificate();
      socket.destroy();
      const fix = 'Check the edge certificate (SSL/TLS, Edge Certificates); Cloudflare renews its own.';
      resolve(expiry(`TLS certificate of ${hostname}`, Date.parse(validTo), nowMs, TLS_WARN_DAYS, fix));
    });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('timeout')));
    socket.on('error', (error) =>
      resolve(bad('certificates', `TLS fails: ${error.message}`, 'Devices would refuse it as well.')),
    );
  });
}
