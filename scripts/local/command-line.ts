/**
 * The manners that all commands share: `--help` prints the usage and exits with 0, what makes no sense is one line and
 * exit code 2, and a reader that leaves early (`| head`) is no error: the command goes on to its own exit code.
 */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

const HELP = { help: { type: 'boolean' } } as const;

export function readCommandLine<T extends ParseArgsOptionsConfig>(usage: string, options: T) {
  tolerateClosedPipes();
  const values = parse(usage, options);
  if ('help' in values && values.help === true) leaveWithUsage(usage);
  return values;
}

export function leaveWithUsage(usage: string): never {
  console.log(usage);
  process.exit(0);
}

/** `problem` is a sentence, or several, of which the first is told. The usage's first line says how to ask for help. */
export function leaveBadUsage(usage: string, problem: string): never {
  const [sentence = ''] = problem.split(/\.?\n|\. |\.$/);
  const command = usage.split(/ -- |\n/)[0];
  console.error(`${sentence}. ${command} -- --help lists the options.`);
  process.exit(2);
}

export function tolerateClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

function parse<T extends ParseArgsOptionsConfig>(usage: string, options: T) {
  try {
    return parseArgs({ options: { ...options, ...HELP } }).values;
  } catch (error) {
    return leaveBadUsage(usage, error instanceof Error ? error.message : String(error));
  }
}
