/**
 * A predicate in its one canonical spelling: keywords in upper case, `==`, `!=`, `<=`, `>=`, ANY for SOME, strings in
 * single quotes, one space, and no parentheses that precedence makes needless. What it prints parses to the same tree
 * but for the positions, unless the longer spelling passes the limit of characters.
 */
import type { Comparison, Expression, Predicate } from './ast.ts';
import { writeQuoted } from './quoted.ts';

export function formatPredicate(predicate: Predicate): string {
  switch (predicate.kind) {
    case 'constant':
      return predicate.value ? 'TRUEPREDICATE' : 'FALSEPREDICATE';
    case 'not':
      return `NOT ${isCompound(predicate.operand) ? bracketed(predicate.operand) : formatPredicate(predicate.operand)}`;
    case 'and':
      return predicate.operands
        .map((each) => (isCompound(each) ? bracketed(each) : formatPredicate(each)))
        .join(' AND ');
    case 'or':
      return predicate.operands
        .map((each) => (each.kind === 'or' ? bracketed(each) : formatPredicate(each)))
        .join(' OR ');
    case 'comparison':
      return formatComparison(predicate);
  }
}

function isCompound(predicate: Predicate): boolean {
  return predicate.kind === 'and' || predicate.kind === 'or';
}

function bracketed(predicate: Predicate): string {
  return `(${formatPredicate(predicate)})`;
}

function formatComparison({ quantifier, left, operator, options, right }: Comparison): string {
  const suffix = options === '' ? '' : `[${options}]`;
  const comparison = `${formatExpression(left)} ${operator}${suffix} ${formatExpression(right)}`;
  return quantifier === null ? comparison : `${quantifier} ${comparison}`;
}

export function formatExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'literal':
      return formatLiteral(expression.value);
    case 'array':
      return `{${expression.items.map(formatExpression).join(', ')}}`;
    case 'status':
    case 'property':
      return `@${expression.kind}(${expression.path})`;
    case 'variable':
      return `$${expression.name}`;
    case 'key':
      return `${formatExpression(expression.of)}.@key(${expression.path})`;
    case 'count':
      return `${formatExpression(expression.of)}.@count`;
    case 'index':
      return `${formatExpression(expression.of)}[${expression.index}]`;
    case 'subquery': {
      const collection = formatExpression(expression.collection);
      return `SUBQUERY(${collection}, $${expression.variable}, ${formatPredicate(expression.predicate)})`;
    }
  }
}

function formatLiteral(value: string | number | boolean | null): string {
  if (typeof value === 'string') return writeQuoted(value);
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE';
  if (value === null) return 'NULL';
  // Written out, an integer past 2^53 would be refused as one that a double may not hold.
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value);
}
