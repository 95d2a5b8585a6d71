/** Bodies of `/devices/{udid}/properties` and `/subscriptions/{platform}`. */
import * as v from 'valibot';
import { PROPERTIES_MAX, PROPERTY_CHARS_MAX } from '../../../domain/declaration/properties.ts';
import { SUBSCRIPTIONS_MAX } from '../../../domain/declaration/subscriptions.ts';
import { isPropertyName } from '../../../domain/declaration/variables.ts';

const textExpected = `a text of at most ${PROPERTY_CHARS_MAX} characters, without control characters`;
const text = v.pipe(
  v.string(),
  v.maxLength(PROPERTY_CHARS_MAX, textExpected),
  v.check((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), textExpected),
);

/** Before `record`, which drops members that share a name with every object's own without a word. */
const names = v.pipe(
  v.custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'an object',
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const input = dataset.value;
    for (const [key, value] of Object.entries(input)) {
      if (isPropertyName(key)) continue;
      const path = { type: 'object', origin: 'key', input, key, value } as const;
      addIssue({ message: 'a property name: letters, digits, hyphens, underscores, dots', path: [path] });
    }
  }),
);

export const deviceProperties = v.strictObject({
  name: v.optional(v.nullable(v.pipe(text, v.minLength(1, textExpected))), null),
  properties: v.optional(
    v.pipe(
      names,
      v.record(
        v.string(),
        v.union([text, v.pipe(v.number(), v.finite()), v.boolean()], 'a text, number or boolean'),
      ),
      v.check((value) => Object.keys(value).length <= PROPERTIES_MAX, `at most ${PROPERTIES_MAX} properties`),
    ),
    {},
  ),
});

export const subscriptionItems = v.strictObject({
  items: v.pipe(
    v.array(v.string()),
    v.maxLength(SUBSCRIPTIONS_MAX, `at most ${SUBSCRIPTIONS_MAX} status items`),
  ),
});
