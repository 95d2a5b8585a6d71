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

export const deviceProperties = v.strictObject({
  name: v.optional(v.nullable(v.pipe(text, v.minLength(1, textExpected))), null),
  properties: v.optional(
    v.pipe(
      v.record(
        v.pipe(
          v.string(),
          v.check(isPropertyName, 'a property name: letters, digits, hyphens, underscores, dots'),
        ),
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
