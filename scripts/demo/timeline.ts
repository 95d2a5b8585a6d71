/** The demo's printed page: numbered steps with elapsed milliseconds, at most 80 columns wide. */

const WIDTH = 80;
const INDENT = 27;

const colored =
  process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb';
const paint = (code: number) => (text: string) => (colored ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
const cyan = paint(36);

export interface Step {
  readonly who: string;
  readonly step: string;
  /** What went over the wire, and what came back. */
  readonly sent: string;
  readonly answered: string;
}

export class Timeline {
  readonly #startedAt = performance.now();
  #number = 0;

  title(text: string): void {
    console.log(`\n${bold(text)}`);
  }

  /** One exchange: two lines, three or four when long. */
  step({ who, step, sent, answered }: Step): void {
    this.#number++;
    const elapsed = `${Math.round(performance.now() - this.#startedAt)} ms`;
    const head = `${String(this.#number).padStart(3)} ${elapsed.padStart(8)}  `;
    const actor = who.padEnd(INDENT - head.length);
    console.log(`${dim(head)}${cyan(actor)}${fit(step, WIDTH - INDENT)}`);
    if (sent !== '') this.#indented('→ ', sent);
    this.#indented('← ', answered);
  }

  note(text: string): void {
    for (const line of wrap(text, WIDTH - INDENT)) console.log(`${' '.repeat(INDENT)}${line}`);
  }

  verdict(good: boolean, text: string): void {
    const [first = '', ...rest] = wrap(text, WIDTH - INDENT - 2);
    console.log(`${' '.repeat(INDENT)}${good ? green('✓ ') : red('✗ ')}${bold(first)}`);
    for (const line of rest) console.log(`${' '.repeat(INDENT + 2)}${bold(line)}`);
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  #indented(mark: string, text: string): void {
    wrap(text, WIDTH - INDENT - mark.length).forEach((line, at) => {
      console.log(dim(`${' '.repeat(INDENT)}${at === 0 ? mark : ' '.repeat(mark.length)}${line}`));
    });
  }
}

const LINES_MAX = 3;

/** Broken at spaces and, where there is none, anywhere; the rest of a long text is left out. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text.replace(/\s+/g, ' ').trim();
  while (rest.length > width && lines.length < LINES_MAX - 1) {
    const space = rest.lastIndexOf(' ', width);
    const at = space > width / 2 ? space : width;
    lines.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  return [...lines, fit(rest, width)];
}

function fit(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
