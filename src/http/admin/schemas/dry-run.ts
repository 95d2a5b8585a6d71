/** Bodies of `/dry-run`: exactly one change, in the words of the call that would make it. */
import * as v from 'valibot';
import type { ProposedChange } from '../../../domain/admin/dry-run-services.ts';
import type { AssignmentTarget } from '../../../domain/declaration/hypothesis.ts';
import { newDeclaration, newSet, setGroup } from './declaration.ts';
import { deviceProperties } from './settings.ts';
import { udid } from './values.ts';

const ONE = 'exactly one of declaration, set, assign, unassign, properties';

const device = v.strictObject({ set: v.string(), device: udid });
const group = v.strictObject({ set: v.string(), group: v.string(), ...setGroup.entries });
const assignment = v.union([device, group], 'a set and a device, or a set and a group');

export const proposedChange = v.pipe(
  v.strictObject({
    declaration: v.optional(v.strictObject({ identifier: v.string(), ...newDeclaration.entries })),
    set: v.optional(v.strictObject({ name: v.string(), ...newSet.entries })),
    assign: v.optional(assignment),
    unassign: v.optional(assignment),
    properties: v.optional(v.strictObject({ device: udid, ...deviceProperties.entries })),
  }),
  v.check((body) => Object.keys(body).length === 1, ONE),
  v.transform((body): ProposedChange => {
    if (body.declaration !== undefined) {
      const { identifier, ...input } = body.declaration;
      return { kind: 'declaration', identifier, input };
    }
    if (body.set !== undefined) return { kind: 'set', ...body.set };
    if (body.properties !== undefined) {
      const { device: named, name, properties: values } = body.properties;
      return { kind: 'properties', udid: named, properties: { name, values } };
    }
    const [kind, asked] =
      body.assign === undefined ? (['unassign', body.unassign] as const) : (['assign', body.assign] as const);
    if (asked === undefined) throw new TypeError('unreachable: one member is there');
    return { kind, set: asked.set, target: targetOf(asked) };
  }),
);

function targetOf(asked: v.InferOutput<typeof assignment>): AssignmentTarget {
  return 'device' in asked
    ? { kind: 'device', udid: asked.device }
    : { kind: 'group', name: asked.group, percent: asked.percent };
}
