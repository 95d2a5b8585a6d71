/** One line for each direction of an exchange, without what a reader cannot use: keys, codes, whole documents. */
import type { TraceEvent } from '../../test/simulator/index.ts';
import type { AdminExchange } from '../local/admin-client.ts';
import type { Step } from './timeline.ts';

export function describeTrace(event: TraceEvent): Step {
  const note = event.note === undefined ? '' : ` (${event.note})`;
  const status = event.status === null ? '' : `${event.status} `;
  return {
    who: event.who,
    step: stepName(event),
    sent: `${event.sent}${note}`,
    answered: `${status}${answerText(event.answered)}`,
  };
}

function stepName({ step, method, path }: TraceEvent): string {
  const shownPath = path.replace(/^(\/enroll\/link\/).*/, '$1…');
  return step.includes('/') ? step : `${step}  ${method} ${shownPath}`;
}

export function describeAdmin(exchange: AdminExchange): Step {
  return {
    who: 'admin',
    step: `${exchange.method} ${exchange.path.replace(/^\/api\/v1/, '')}`,
    sent: shorten(exchange.sent),
    answered: `${exchange.status} ${shorten(resultText(exchange.answered))}`,
  };
}

/** Of a command's record, what the device answered. */
function resultText(json: string): string {
  const { state, result } = parse(json);
  if (typeof result !== 'object' || result === null) return json;
  const { CommandUUID: _uuid, UDID: _udid, ...rest } = result as Record<string, unknown>;
  return `${state}: ${JSON.stringify(rest)}`;
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

function shorten(text: string): string {
  return text
    .replace(/-----BEGIN ([A-Z ]+)-----.*?-----END \1-----(?:\\n)?/gs, '($1 in PEM)')
    .replace(/(\/enroll\/link\/)[\w-]+/g, '$1…')
    .replace(/("code":")[\w-]+/g, '$1…');
}
