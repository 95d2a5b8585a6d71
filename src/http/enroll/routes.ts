/**
 * Where enrollment profiles come from (design section 6): `POST /enroll/watch` is the EnrollmentProfileURL,
 * `POST /enroll/phone` serves Automated Device Enrollment, `GET /enroll/link/{code}` a named phone, once.
 *
 * Any Content-Type is taken, and none (facts 19.4). Nothing here may be stored by anyone on the way.
 */
import { Hono } from 'hono';
import type { PhoneEnrollment } from '../../domain/pairing/phone-enrollment.ts';
import type { PairingService } from '../../domain/pairing/service.ts';
import { MACHINE_INFO_BYTES_MAX } from '../../domain/pairing/verifiers.ts';
import { ENROLLMENT_PROFILE_CONTENT_TYPE } from '../../protocol/profile/enrollment-profile.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody } from '../body.ts';
import { logWatch, profileResponse, refusalFields, watchResponse } from './answers.ts';
import { linkRefusal, methodNotAllowed, phoneRefusal, watchRefusal } from './refusals.ts';
import { sourceAddress } from './source.ts';

export interface EnrollServices {
  readonly pairing: PairingService;
  readonly phones: PhoneEnrollment;
}

export function enrollApp(services: EnrollServices): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use('/enroll/*', async (c, next) => {
    await next();
    c.res.headers.set('Cache-Control', 'no-store');
  });

  app.post('/enroll/watch', async (c) => {
    const body = await readBody(c.req.raw, MACHINE_INFO_BYTES_MAX);
    if (!body.ok) return watchRefusal(body.refusal);
    const source = sourceAddress(c.req.raw.headers);
    const answer = await services.pairing.enroll(body.value, source, c.get('nowMs'));
    logWatch(c.get('log'), answer, source);
    return watchResponse(answer);
  });

  app.post('/enroll/phone', async (c) => {
    const body = await readBody(c.req.raw, MACHINE_INFO_BYTES_MAX);
    if (!body.ok) return phoneRefusal(body.refusal);
    const source = sourceAddress(c.req.raw.headers);
    const answer = await services.phones.enroll(body.value, c.get('nowMs'));
    if (!answer.ok) {
      c.get('log').event('enroll-refused', { source, ...refusalFields(answer.refusal) });
      return phoneRefusal(answer.refusal);
    }
    c.get('log').event('enroll-answered', { step: 'profile', source, phoneUdid: answer.value.device.udid });
    return profileResponse(answer.value.profile);
  });

  app.get('/enroll/link/:code', async (c) => {
    // Hono answers HEAD by the GET handler; looking must not use the link up, nor tell whether it is good.
    if (c.req.method === 'HEAD')
      return c.body(null, 200, { 'Content-Type': ENROLLMENT_PROFILE_CONTENT_TYPE });
    const source = sourceAddress(c.req.raw.headers);
    const answer = await services.phones.takeLink(c.req.param('code'), c.get('nowMs'));
    if (!answer.ok) {
      c.get('log').event('enroll-refused', { step: 'link', source, ...refusalFields(answer.refusal) });
      return linkRefusal(answer.refusal);
    }
    c.get('log').event('enroll-answered', { step: 'link', source, phoneUdid: answer.value.link.udid });
    return profileResponse(answer.value.profile);
  });

  app.all('/enroll/watch', () => methodNotAllowed('POST'));
  app.all('/enroll/phone', () => methodNotAllowed('POST'));
  app.all('/enroll/link/:code', () => methodNotAllowed('GET, HEAD'));
  return app;
}
