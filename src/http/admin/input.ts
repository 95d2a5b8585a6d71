/**
 * Requests become typed values here, once: JSON bodies and query parameters through their resource's schema.
 * Every member is checked, unknown ones are refused, and each error names its place and what is expected.
 */
import * as v from 'valibot';
import { readUtf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { readBody } from '../body.ts';
import type { AdminContext } from './env.ts';
import { expectation } from './expectation.ts';
import { ERRORS_MAX, type FieldError } from './problem.ts';
import type { RequestRefusal } from './refusals.ts';

/** Eight anchors of 16 KiB, or a command with a profile of some 150 KiB in base64, fit. */
export const JSON_BYTES_MAX = 256 * 1024;
/** A command's plist may nest 32 levels; the rest is the body around it and the marks of plist values. */
export const JSON_DEPTH_MAX = 40;

type Schema = v.GenericSchema<unknown, unknown>;

export async function readJson<S extends Schema>(
  c: AdminContext,
  schema: S,
  bytesMax = JSON_BYTES_MAX,
): Promise<Outcome<v.InferOutput<S>, RequestRefusal>> {
  if (!isJson(c.req.header('Content-Type'))) return refuse({ kind: 'not-json' });
  const body = await readBody(c.req.raw, bytesMax);
  if (!body.ok) return body;
  const json = parseJson(readUtf8(body.value));
  if (!json.ok) return json;
  if (exceedsDepth(json.value, JSON_DEPTH_MAX)) {
    return refuse({ kind: 'json-too-deep', depthMax: JSON_DEPTH_MAX });
  }
  return validate(schema, json.value, pointer);
}

/** The query parameters, each at most once. */
export function readQuery<S extends Schema>(
  c: AdminContext,
  schema: S,
): Outcome<v.InferOutput<S>, RequestRefusal> {
  const single: Record<string, string> = {};
  for (const [name, values] of Object.entries(c.req.queries())) {
    const [value] = values;
    if (value === undefined || values.length > 1) {
      return refuse({ kind: 'invalid', errors: [{ path: `?${name}`, expected: 'once' }] });
    }
    single[name] = value;
  }
  return validate(schema, single, (path) => `?${path.join('.')}`);
}

function validate<S extends Schema>(
  schema: S,
  value: unknown,
  place: (path: readonly string[]) => string,
): Outcome<v.InferOutput<S>, RequestRefusal> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse({ kind: 'invalid', errors: [{ path: '', expected: 'an object' }] });
  }
  const result = v.safeParse(schema, value, { abortPipeEarly: true });
  if (result.success) return ok(result.output);
  const errors = result.issues.slice(0, ERRORS_MAX).map((issue): FieldError => {
    const path = (issue.path ?? []).map((item) => String(item.key));
    return { path: place(path), expected: expectation(issue) };
  });
  return refuse({ kind: 'invalid', errors });
}

/** `application/json`, where a charset can only be UTF-8 (RFC 8259 §8.1). */
function isJson(contentType: string | undefined): boolean {
  return /^application\/json *(; *charset="?utf-8"? *)?$/i.test(contentType ?? '');
}

function parseJson(text: string | null): Outcome<unknown, RequestRefusal> {
  if (text === null) return refuse({ kind: 'malformed-json', position: null });
  try {
    const value: unknown = JSON.parse(text);
    const position = findInexact(text);
    return position === null ? ok(value) : refuse({ kind: 'json-number-too-large', position });
  } catch (error) {
    // V8 names the place for most mistakes, and only in its message.
    const at = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    return refuse({ kind: 'malformed-json', position: at === undefined ? null : Number(at) });
  }
}

/** Where an integer begins that `JSON.parse` rounds (RFC 8259 §6); of text that is JSON. */
function findInexact(text: string): number | null {
  if (!/\d{16}/.test(text)) return null;
  for (const match of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g)) {
    const [token] = match;
    if (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token))) return match.index;
  }
  return null;
}

/** Recurses no deeper than the limit it checks. */
function exceedsDepth(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((member) => exceedsDepth(member, levels - 1));
}

/** RFC 6901 §3: `~` and `/` in a member's name are escaped. */
function pointer(path: readonly string[]): string {
  return path.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
