/**
 * The predicate of an activation, from text to a tree or to the place where it stops being one. The syntax is Apple's
 * (Predicate Format String Syntax, and "Leveraging the declarative management data model": `@status`, `@key`,
 * `@property`), narrowed to what activations are known to use. It is strict on purpose. Observed: macOS 26.5, August
 * 2026, by the maintainers of another server: after a predicate with an unknown `@` word the device takes no more
 * commands and cannot be mended from afar. What we are not sure of is not sent.
 *
 *   predicate  = conjunction *(("OR" / "||") conjunction)
 *   conjunction = negation *(("AND" / "&&") negation)
 *   negation   = ("NOT" / "!") negation / "TRUEPREDICATE" / "FALSEPREDICATE" / comparison / "(" predicate ")"
 *   comparison = ["ANY" / "SOME" / "ALL" / "NONE"] expression operator [options] expression
 *   operator   = "=" / "==" / "!=" / "<>" / "<" / "<=" / "=<" / ">" / ">=" / "=>" / "BETWEEN" / "IN"
 *              / "CONTAINS" / "BEGINSWITH" / "ENDSWITH" / "LIKE"
 *   options    = "[" ("c" / "d" / "cd") "]"                      ; not after an ordering or BETWEEN
 *   expression = literal / "{" [expression *("," expression)] "}" / path
 *   path       = (term / variable / subquery / "(" expression ")")
 *                *("." ("@key(" name ")" / "@count") / "[" (1*DIGIT / "FIRST" / "LAST" / "SIZE") "]")
 *   subquery   = "SUBQUERY" "(" expression "," variable "," predicate ")"
 *   literal    = string / number / "TRUE" / "YES" / "FALSE" / "NO" / "NULL" / "NIL"
 *
 * A variable is one that an enclosing SUBQUERY binds, under a name of its own. MATCHES is refused: its argument is a
 * regular expression of ICU's, which nothing here can check before a device meets it; LIKE does for most.
 */
import { type Outcome, ok, refuse } from '../../../std/outcome.ts';
import { PREDICATE_LIMITS, type Predicate } from './ast.ts';
import { Cursor } from './cursor.ts';
import { PredicateParser } from './parser.ts';

export type PredicateRefusal = {
  readonly kind: 'malformed-predicate';
  /** 0-based, in UTF-16 units; `line` and `column` are the same place, counted from 1. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly expected: string;
};

/** The whole text is one predicate. Never throws. */
export function parsePredicate(text: string): Outcome<Predicate, PredicateRefusal> {
  const { charactersMax } = PREDICATE_LIMITS;
  if (text.length > charactersMax)
    return malformed(text, charactersMax, `at most ${charactersMax} characters`);
  const cursor = new Cursor(text);
  const predicate = new PredicateParser(cursor).whole();
  return predicate === undefined ? malformed(text, cursor.stoppedAt, cursor.expected ?? '') : ok(predicate);
}

function malformed(text: string, position: number, expected: string) {
  const before = text.slice(0, position).split('\n');
  const column = (before.at(-1) as string).length + 1;
  return refuse({ kind: 'malformed-predicate', position, line: before.length, column, expected } as const);
}
