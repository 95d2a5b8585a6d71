/** One line for each direction of an exchange, without what a reader cannot use: keys, codes, whole documents. */
import type { TraceEvent } from '../../test/simulator/index.ts';
import type { AdminExchange } from '../local/admin-client.ts';
import type { Step } from './timeline.ts';

/** `plist` is what the last property list in a reply held, if it can be told in words. */
export function describeTrace(event: TraceEvent, plist: string | null = null): Step {
  const note = event.note === undefined ? '' : ` (${event.note})`;
  const status = event.status === null ? '' : `${event.status} `;
  const answered =
    event.answered.startsWith('application/xml') && plist !== null ? plist : answerText(event.answered);
  return {
    who: event.who,
    step: stepName(event),
    sent: event.sent === event.step ? '' : `${event.sent}${note}`,
    answered: `${status}${answered}`,
  };
}

/** What a reply's property list is for: the next command, or a token. */
export function describePlist(xml: string): string | null {
  const command = /<key>RequestType<\/key>\s*<string>(\w+)/.exec(xml);
  if (command !== null) return `command ${command[1]}`;
  return xml.includes('<key>TokenData</key>') ? 'TokenData: a signed pairing token' : null;
}

function stepName({ step, method, path }: TraceEvent): string {
  const route = `${method} ${path.replace(/^(\/enroll\/link\/).*/, '$1…')}`;
  return step.includes('/') ? step : step.startsWith('GET ') ? route : `${step}  ${route}`;
}

export function describeAdmin(exchange: AdminExchange): Step {
  return {
    who: 'admin',
    step: `${exchange.method} ${shortPath(exchange.path)}`,
    sent: inWords(exchange.sent),
    answered: `${exchange.status} ${inWords(exchange.answered)}`,
  };
}

/** JSON without its punctuation, so that it can be broken into lines; secrets and certificates left out. */
function inWords(json: string): string {
  const value = parse(json);
  const { result, state } = value;
  if (!isObject(result)) return words(value, 0) || json;
  // Of a command's record, what the device answered.
  const { UDID: _udid, ...answer } = result;
  return `${state}: ${words(answer, 0)}`;
}

/** The end of an identifier tells it from its neighbors; the whole is in the lines below. */
function shortPath(path: string): string {
  return path
    .replace(/[0-9A-F]{8}-[0-9A-F]{11}([0-9A-F]{5})/, '…$1')
    .replace(/([0-9A-F]{8})(-[0-9A-F]{4,12}){4}/, '$1…');
}

const HIDDEN = new Set(['code', 'CommandUUID', 'Status', 'push', 'reasons', 'pairings']);

function words(value: unknown, depth: number): string {
  if (typeof value === 'string') {
    return value
      .replace(/-----BEGIN ([A-Z ]+)-----[\s\S]*/, 'a $1 in PEM')
      .replace(/(\/enroll\/link\/).*/, '$1…');
  }
  if (Array.isArray(value)) return `[${value.map((item) => words(item, depth + 1)).join(', ')}]`;
  if (!isObject(value)) return String(value);
  const pairs = Object.entries(value).filter(([key, item]) => !HIDDEN.has(key) && item !== null);
  const text = pairs.map(([key, item]) => `${key} ${words(item, depth + 1)}`).join(', ');
  return depth === 0 ? text : `{${text}}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A document meant for a device: its code, then what it would show. */
function answerText(text: string): string {
  const { code, message, details } = parse(text);
  if (typeof code !== 'string') return text;
  const words = [code];
  if (typeof message === 'string') words.push(`“${message}”`);
  const token = (details as Record<string, unknown> | undefined)?.['security-token'];
  if (typeof token === 'string') words.push(`security-token ${token.slice(0, 8)}…`);
  return words.join(', ');
}

function parse(text: string): Record<string, unknown> {
  if (!text.startsWith('{')) return {};
  try {
    return JSON.parse(text);
  } catch {
    // Shown as it came.
    return {};
  }
}
