/**
 * The Worker itself, by `wrangler deploy`, which also sets its address, its schedule and its queues' consumers. Skipped
 * when the account has exactly that: the same sources, dependencies and configuration, and every trigger in place.
 */
import { CRONS, configFor, consumersFor, isWorkersDev, stamped, writeConfig } from './config.ts';
import { wantsPackages } from './resources.ts';
import { change, kept, type Site, type Step, Stop } from './site.ts';
import { BUILD_VARIABLE } from './worker-state.ts';

export const worker: Step = {
  async look(site) {
    const url = site.vars['PUBLIC_URL'] ?? '';
    if (!isWorkersDev(url)) await refuseForeignZone(site, new URL(url).hostname);
    const config = stamped(configFor(site, wantsPackages(site)));
    const build = String(config.vars?.[BUILD_VARIABLE]);
    const ready = site.databaseId !== null && site.namespaceId !== null;
    const reasons =
      !ready || !site.worker.deployed ? ['it is not deployed'] : await differences(site, build, url);
    if (reasons.length === 0) return kept(`Worker ${site.names.worker} at ${url}`);
    const why = site.worker.deployed ? ` (${reasons.join('; ')})` : '';
    return change(`deploy Worker ${site.names.worker} at ${url}${why}`, async () => {
      const final = stamped(configFor(site, wantsPackages(site)));
      await site.wrangler.run(['deploy', '--config', writeConfig(final)]);
    });
  },
};

/** Of what the account has against what it would have. */
async function differences(site: Site, build: string, url: string): Promise<readonly string[]> {
  const { api, names } = site;
  const script = `workers/scripts/${names.worker}`;
  const permission = 'Workers Scripts: Edit';
  const reasons: string[] = [];
  if (site.worker.vars[BUILD_VARIABLE] !== build) reasons.push('sources or configuration changed');
  const { schedules = [] } = ((await api.find(`${script}/schedules`, permission)) ?? {}) as {
    schedules?: { cron: string }[];
  };
  if (CRONS.some((cron) => !schedules.some((one) => one.cron === cron))) reasons.push('no schedule');
  if (!(await isReachable(site, url))) reasons.push('no address');
  for (const { queue, dead_letter_queue } of consumersFor(names.worker)) {
    const [found] = await api.list(`queues?name=${queue}`, 'Queues: Edit');
    const consumers = await api.list(`queues/${found?.['queue_id']}/consumers`, 'Queues: Edit');
    const own = consumers.find((one) => (one['script'] ?? one['script_name']) === names.worker);
    if (own === undefined || own['dead_letter_queue'] !== dead_letter_queue) {
      reasons.push(`queue ${queue} is not consumed`);
    }
  }
  return reasons;
}

async function isReachable({ api, names }: Site, url: string): Promise<boolean> {
  const script = `workers/scripts/${names.worker}`;
  if (isWorkersDev(url)) {
    const answer = await api.find(`${script}/subdomain`, 'Workers Scripts: Edit');
    return (answer as { enabled?: boolean } | null)?.enabled === true;
  }
  const { hostname } = new URL(url);
  const domains = await api.list(`workers/domains?hostname=${hostname}`, 'Workers Scripts: Edit');
  return domains.some((one) => one['hostname'] === hostname && one['service'] === names.worker);
}

/** A custom domain needs its zone in this account. */
async function refuseForeignZone({ api }: Site, hostname: string): Promise<void> {
  const labels = hostname.split('.');
  for (let from = 0; from < labels.length - 1; from++) {
    const zone = labels.slice(from).join('.');
    const found = await api.list(`/zones?name=${zone}&account.id=${api.account}`, 'Zone: Read');
    if (found.some((one) => one['name'] === zone)) return;
  }
  throw new Stop(
    `No zone of this account has ${hostname}`,
    'Add the domain to the account first (dashboard, Add a domain), or leave --url out for workers.dev.',
  );
}
