/** Python's plistlib from here, and the base64 methods that workerd has and Node 22 lacks. */
import { spawnSync } from 'node:child_process';
import type { JsonValue } from '../../src/protocol/plist/json.ts';

// Node 22 lacks what workerd has (ECMAScript's base64 and hexadecimal methods); the strict form is the only one used here.
if (Uint8Array.prototype.toBase64 === undefined) {
  Object.defineProperty(Uint8Array.prototype, 'toBase64', {
    value(this: Uint8Array) {
      return Buffer.from(this).toString('base64');
    },
  });
  Object.defineProperty(Uint8Array.prototype, 'toHex', {
    value(this: Uint8Array) {
      return Buffer.from(this).toString('hex');
    },
  });
  Object.defineProperty(Uint8Array, 'fromBase64', {
    value(text: string) {
      const bytes = Buffer.from(text, 'base64');
      if (bytes.toString('base64') !== text.replace(/[\t\n\f\r ]/g, '')) throw new SyntaxError('not base64');
      return new Uint8Array(bytes);
    },
  });
}

/** Reads documents (a JSON list of base64) and answers each as `plistToJson` would, or null. */
const READER = `
import base64, datetime, json, math, plistlib, sys, types
MARKS = {'$data', '$date', '$integer', '$dict'}
def form(v):
    if isinstance(v, bytes): return {'$data': base64.b64encode(v).decode()}
    if isinstance(v, datetime.datetime): return {'$date': v.isoformat() + 'Z'}
    if isinstance(v, bool): return v
    if isinstance(v, int) and abs(v) > 2**53 - 1: return {'$integer': str(v)}
    if isinstance(v, list): return [form(x) for x in v]
    if isinstance(v, dict):
        o = {k: form(x) for k, x in v.items()}
        return {'$dict': o} if len(o) == 1 and set(o) <= MARKS else o
    if isinstance(v, float): return v + 0.0 if math.isfinite(v) else {'$real': str(v)}
    return v
# Binary dates to the second they are in, as we read them: Python rounds to microseconds, some into the next second.
whole = lambda seconds: datetime.timedelta(seconds=math.floor(seconds))
plistlib.datetime = types.SimpleNamespace(datetime=datetime.datetime, timedelta=whole)
def load(document):
    binary = document.startswith(b'bplist00')
    return plistlib.loads(document, fmt=plistlib.FMT_BINARY if binary else plistlib.FMT_XML)
out = []
for document in json.load(sys.stdin):
    try: out.append([form(load(base64.b64decode(document)))])
    except Exception: out.append(None)
json.dump(out, sys.stdout)
`;

const python = spawnSync('python3', ['-c', 'import plistlib'], { stdio: 'ignore' });
export const missing = python.status !== 0;
if (missing) console.warn('skipped: python3 with plistlib is not installed');

export function runPython(script: string, documents: readonly Uint8Array[]): unknown {
  const input = JSON.stringify(documents.map((bytes) => Buffer.from(bytes).toString('base64')));
  const run = spawnSync('python3', ['-c', script], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

export function readWithPython(documents: readonly Uint8Array[]): ([JsonValue] | null)[] {
  return runPython(READER, documents) as ([JsonValue] | null)[];
}
