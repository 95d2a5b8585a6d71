/**
 * Who deploys: `CLOUDFLARE_API_TOKEN`, or the login that `wrangler login` keeps. Wrangler hands that out, refreshed;
 * it is never written anywhere by this program.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { projectRoot, wranglerCommand, wranglerEnvironment } from '../local/build.ts';
import { type Credentials, LOGIN_FIX } from './api.ts';
import { Stop } from './site.ts';

export async function findCredentials(): Promise<Credentials> {
  const account = process.env['CLOUDFLARE_ACCOUNT_ID'] || null;
  const token = process.env['CLOUDFLARE_API_TOKEN'] || (await wranglerToken());
  if (token === null) throw new Stop('There is no login to Cloudflare', LOGIN_FIX);
  return { token, account };
}

async function wranglerToken(): Promise<string | null> {
  try {
    const args = [wranglerCommand, 'auth', 'token', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: projectRoot,
      env: wranglerEnvironment(),
    });
    const { token } = JSON.parse(stdout) as { token?: unknown };
    return typeof token === 'string' && token !== '' ? token : null;
  } catch {
    // Nobody is logged in, or the login has expired and could not be renewed: the fix is the same.
    return null;
  }
}
