/**
 * Wrangler as a subprocess: it takes its login from its environment, secrets from its standard input, and writes no
 * log. What it prints is shown only when it fails, without anything that was handed to it in secret.
 */
import { spawn } from 'node:child_process';
import { projectRoot, wranglerCommand, wranglerEnvironment } from '../local/build.ts';
import { Stop } from './site.ts';

/** Of its output, when it fails: the last lines say why. */
const LINES_SHOWN = 25;
// biome-ignore lint/complexity/useRegexLiterals: a literal escape character is no better to read
const COLORS = new RegExp('\\u001b\\[[0-9;]*m', 'g');

export interface WranglerRun {
  readonly input?: string;
  /** Values that must not be shown. */
  readonly secrets?: readonly string[];
}

export class Wrangler {
  readonly #login: Readonly<Record<string, string>>;

  constructor(login: Readonly<Record<string, string>>) {
    this.#login = login;
  }

  async run(args: readonly string[], { input = '', secrets = [] }: WranglerRun = {}): Promise<string> {
    const { ESCAPEMENT_ADMIN_KEY: _, ESCAPEMENT_RELAY_KEY: __, ...inherited } = wranglerEnvironment();
    const env = {
      ...inherited,
      ...this.#login,
      NO_COLOR: '1',
      FORCE_COLOR: '0',
      WRANGLER_LOG: 'log',
    } as NodeJS.ProcessEnv;
    const child = spawn(process.execPath, [wranglerCommand, ...args], {
      cwd: projectRoot,
      env,
      stdio: 'pipe',
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    // It may end before it has read everything; its exit code tells.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    const shown = withoutSecrets(output.replace(COLORS, ''), secrets);
    if (code === 0) return shown;
    const lines = shown.split('\n').filter((line) => line.trim() !== '');
    throw new Stop(
      `wrangler ${args.slice(0, 3).join(' ')} failed:\n${lines.slice(-LINES_SHOWN).join('\n')}`,
      'Run the same command again; what is done is kept.',
    );
  }
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((left, secret) => (secret === '' ? left : left.replaceAll(secret, '[secret]')), text);
}
