/**
 * The device management protocol: `PUT /mdm/checkin` and `PUT /mdm/connect`. Every request must carry an
 * `Mdm-Signature` over its exact body by a certificate issued here; the device's object compares it with the pin.
 * Content-Type is not asked for: some devices send none (handbook 19.4).
 */
import { type Context, Hono } from 'hono';
import type { CommandChannel } from '../../domain/command/channel.ts';
import type { CheckInService } from '../../domain/enrollment/check-in.ts';
import type { DeviceVerifier } from '../../domain/identity/device-verifier.ts';
import { parseCheckIn } from '../../protocol/mdm/checkin.ts';
import { parseConnect } from '../../protocol/mdm/connect.ts';
import { ok, refuse } from '../../std/outcome.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody } from '../body.ts';
import { answerCheckIn, answerCommand } from './answers.ts';
import { refuseDevice } from './refusals.ts';

/** Results of large inventories reach some hundred kB; a Durable Object row holds 2 MB. */
const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Read so far only to learn whose result it is that cannot be taken. */
const RESULT_BYTES_MAX = 4 * 1024 * 1024;
/**
 * A status report has 4 MiB and travels as base64 (4/3), which Apple's writer breaks into lines of 68 characters and
 * a line feed and indents (72/68 with three tabs), inside a plist of less than 64 KiB more.
 */
const STATUS_MESSAGE_BYTES_MAX = Math.ceil((4 * 1024 * 1024 * 4 * 72) / (3 * 68)) + 64 * 1024;

export interface MdmServices {
  readonly verifier: DeviceVerifier;
  readonly checkIn: CheckInService;
  readonly commands: CommandChannel;
}

export function mdmApp(services: MdmServices): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.put('/mdm/checkin', async (c) => {
    const signed = await readSigned(c, STATUS_MESSAGE_BYTES_MAX, services.verifier);
    if (!signed.ok) return refuseDevice(c, signed.refusal);
    const { body, device } = signed.value;
    const message = parseCheckIn(body);
    if (!message.ok) return refuseDevice(c, message.refusal, device.udid);
    const { type } = message.value;
    const fits = body.length <= MESSAGE_BYTES_MAX || type === 'DeclarativeManagement';
    if (!fits) return refuseDevice(c, TOO_LARGE.refusal, device.udid);
    const answer = await services.checkIn.handle(device, message.value, c.get('nowMs'));
    if (!answer.ok) return refuseDevice(c, answer.refusal, device.udid);
    c.get('log').event('check-in', { udid: device.udid, messageType: type });
    return answerCheckIn(answer.value);
  });

  app.put('/mdm/connect', async (c) => {
    const signed = await readSigned(c, RESULT_BYTES_MAX, services.verifier);
    if (!signed.ok) return refuseDevice(c, signed.refusal);
    const { body, device } = signed.value;
    const report = body.length <= MESSAGE_BYTES_MAX ? parseConnect(body) : TOO_LARGE;
    if (!report.ok) {
      // The device resends these bytes until they are taken; the third time the command is given up for them.
      const givenUp = await services.commands.giveUpUnreadable(device, c.get('nowMs'));
      const refused = refuseDevice(c, report.refusal, device.udid);
      return givenUp ? answerCommand(null) : refused;
    }
    const { udid, userId } = report.value;
    if (userId !== null) return refuseDevice(c, { kind: 'user-channel' }, device.udid);
    if (udid !== device.udid) return refuseDevice(c, { kind: 'udid-mismatch' }, device.udid);
    const command = await services.commands.connect(device, report.value, c.get('nowMs'));
    return command.ok ? answerCommand(command.value) : refuseDevice(c, command.refusal, udid);
  });

  app.all('/mdm/checkin', () => refuse405());
  app.all('/mdm/connect', () => refuse405());
  return app;
}

/** The body, and the device whose signature over it verified. */
async function readSigned(c: Context<AppEnv>, bodyBytesMax: number, verifier: DeviceVerifier) {
  const body = await readBody(c.req.raw, bodyBytesMax);
  if (!body.ok) return body;
  const device = await verifier.verify(c.req.header('Mdm-Signature') ?? null, body.value, c.get('nowMs'));
  return device.ok ? ok({ body: body.value, device: device.value }) : device;
}

const TOO_LARGE = refuse({ kind: 'body-too-large', bodyBytesMax: MESSAGE_BYTES_MAX } as const);

function refuse405(): Response {
  return new Response(null, { status: 405, headers: { Allow: 'PUT' } });
}
