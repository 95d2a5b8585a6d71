/**
 * What a predicate asks about: the status items that must be subscribed to if its verdict is to be foreseen here, and
 * the management properties that must be declared. A status path may reach into an item
 * (`management.declarations.configurations`), so an item is known if it is the path or a prefix of it.
 */
import type { Expression, Predicate } from './ast.ts';

/** Where the name stands first. */
export interface PredicateReference {
  readonly name: string;
  readonly position: number;
}

export function referencedStatusItems(predicate: Predicate): readonly PredicateReference[] {
  return references(predicate, 'status');
}

export function referencedProperties(predicate: Predicate): readonly PredicateReference[] {
  return references(predicate, 'property');
}

function references(predicate: Predicate, kind: 'status' | 'property'): readonly PredicateReference[] {
  const first = new Map<string, number>();
  for (const expression of expressionsOf(predicate)) {
    if (expression.kind !== kind) continue;
    first.set(expression.path, Math.min(expression.at, first.get(expression.path) ?? expression.at));
  }
  const found = [...first].map(([name, position]) => ({ name, position }));
  return found.sort((a, b) => a.position - b.position);
}

/** Every expression in the tree, those inside subqueries too, in no order. */
export function* expressionsOf(predicate: Predicate): Generator<Expression> {
  const open: (Predicate | Expression)[] = [predicate];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    switch (node.kind) {
      case 'constant':
        continue;
      case 'not':
        open.push(node.operand);
        continue;
      case 'and':
      case 'or':
        open.push(...node.operands);
        continue;
      case 'comparison':
        open.push(node.left, node.right);
        continue;
      case 'array':
        open.push(...node.items);
        break;
      case 'key':
      case 'count':
      case 'index':
        open.push(node.of);
        break;
      case 'subquery':
        open.push(node.collection, node.predicate);
        break;
    }
    yield node;
  }
}
