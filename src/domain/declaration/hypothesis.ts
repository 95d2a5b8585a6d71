/**
 * Changes that were only thought of: which devices each could concern, and what a device would then be assigned. The
 * compiler makes of that what it would make of the change itself, so a dry run and the change agree.
 */
import type { Udid } from '../ids.ts';
import type { Assigned, AssignedDeclaration, Membership } from './library-ports.ts';
import type { DeviceProperties } from './properties.ts';

/** Whom an assignment is to. */
export type AssignmentTarget =
  | { readonly kind: 'device'; readonly udid: Udid }
  | { readonly kind: 'group'; readonly name: string; readonly percent: number };

export type Hypothesis =
  | { readonly kind: 'declaration'; readonly declaration: AssignedDeclaration }
  | { readonly kind: 'set'; readonly name: string; readonly declarations: readonly AssignedDeclaration[] }
  | {
      readonly kind: 'assign';
      readonly set: string;
      readonly target: AssignmentTarget;
      /** What the set holds. */
      readonly declarations: readonly AssignedDeclaration[];
    }
  | { readonly kind: 'unassign'; readonly set: string; readonly target: AssignmentTarget }
  | { readonly kind: 'properties'; readonly udid: Udid; readonly properties: DeviceProperties };

/** What would be assigned to a device that the hypothesis concerns. */
export function suppose(assigned: Assigned, hypothesis: Hypothesis): Assigned {
  switch (hypothesis.kind) {
    case 'declaration': {
      const { declaration } = hypothesis;
      const replace = (list: readonly AssignedDeclaration[]) =>
        list.map((one) => (one.identifier === declaration.identifier ? declaration : one));
      const sets = [...assigned.sets].map(([name, list]) => [name, replace(list)] as const);
      return { ...assigned, sets: new Map(sets) };
    }
    case 'set':
      return { ...assigned, sets: new Map([...assigned.sets, [hypothesis.name, hypothesis.declarations]]) };
    case 'assign': {
      const { set, target, declarations } = hypothesis;
      const memberships = [...without(assigned.memberships, set, target), membershipOf(set, target)];
      return { ...assigned, memberships, sets: new Map([...assigned.sets, [set, declarations]]) };
    }
    case 'unassign':
      return { ...assigned, memberships: without(assigned.memberships, hypothesis.set, hypothesis.target) };
    case 'properties':
      return { ...assigned, properties: hypothesis.properties };
    default:
      return hypothesis satisfies never;
  }
}

function without(memberships: readonly Membership[], set: string, target: AssignmentTarget) {
  const group = groupOf(target);
  return memberships.filter((one) => one.set !== set || one.group !== group);
}

function membershipOf(set: string, target: AssignmentTarget): Membership {
  const percent = target.kind === 'device' ? 100 : target.percent;
  return { set, group: groupOf(target), percent };
}

function groupOf(target: AssignmentTarget): string | null {
  return target.kind === 'device' ? null : target.name;
}
