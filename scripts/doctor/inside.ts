/**
 * What only an administrator may ask: whether the key fits and the database answers, and whether pushes arrive. The
 * probe is one push to a token that nobody has; Apple's refusal of it proves the way there.
 */
import { bad, expiry, type Finding, fine, skipped, warning } from './finding.ts';
import { request } from './reach.ts';

const KEY_FIX = 'Set ESCAPEMENT_ADMIN_KEY. A lost one: npm run deploy -- --new-admin-key --show-admin-key.';
const PUSH_WARN_DAYS = 30;
const RENEW =
  'Renew it at identity.apple.com/pushcert, the same one, and run npm run deploy -- --push-certificate ….';
const PROBE_FIX =
  'PUSH_TRANSPORT (mtls, relay or log), RELAY_URL and RELAY_KEY: docs/operations.md, "When pushes do not arrive".';

export async function judgeAdministration(url: string, adminKey: string | null): Promise<readonly Finding[]> {
  if (adminKey === null) {
    return [
      skipped('administration', 'no administrator key at hand', KEY_FIX),
      skipped('push path', 'no administrator key at hand', KEY_FIX),
    ];
  }
  const answer = await ask(url, '/devices?limit=1', adminKey);
  if (answer.status === 401) return [bad('administration', 'the key is not the one in force', KEY_FIX)];
  if (!answer.ok) {
    return [
      bad(
        'administration',
        `the API answers ${answer.status}`,
        'The database may lack its migrations: npm run deploy applies them. npx wrangler tail names the fault.',
      ),
    ];
  }
  return [
    fine('administration', 'the key fits and the database answers'),
    ...(await judgePush(url, adminKey)),
  ];
}

async function judgePush(url: string, adminKey: string): Promise<readonly Finding[]> {
  const [certificate, probe] = await Promise.all([
    ask(url, '/push-certificate', adminKey),
    ask(url, '/push-certificate/probe', adminKey),
  ]);
  const { notAfter } = (await json(certificate)) as { notAfter?: unknown };
  const notAfterMs = typeof notAfter === 'number' ? notAfter : Date.parse(String(notAfter));
  const dated = Number.isNaN(notAfterMs)
    ? []
    : [expiry('push certificate', notAfterMs, Date.now(), PUSH_WARN_DAYS, RENEW)];
  return [...dated, await judgeProbe(probe)];
}

/** `{"ok", "transport", "status", "reason"}`; a server without push has no such route. */
async function judgeProbe(probe: Response): Promise<Finding> {
  if (probe.status === 404) {
    return warning(
      'push path',
      'this server has no probe: it wakes no device',
      'Deploy a version that pushes.',
    );
  }
  const { ok, transport, status, reason, detail } = await json(probe);
  const facts = [transport, status, reason, detail].filter((fact) => fact !== undefined && fact !== null);
  const told = facts.length > 0 ? facts.join(', ') : `answer ${probe.status}`;
  if (transport === 'log') {
    return warning('push path', 'PUSH_TRANSPORT is log: no device is woken', PROBE_FIX);
  }
  return ok === true ? fine('push path', `Apple answers (${told})`) : bad('push path', told, PROBE_FIX);
}

function ask(url: string, path: string, adminKey: string): Promise<Response> {
  return request(`${url}/api/v1${path}`, { headers: { authorization: `Bearer ${adminKey}` } });
}

async function json(response: Response): Promise<Record<string, unknown>> {
  const value: unknown = await response.json().catch(() => null);
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
