/**
 * `/devices/{udid}/commands`: queueing a command, following it, taking it back, repeating it. A request may be repeated: with
 * the same `commandUuid`, or the same `Idempotency-Key`, and the same content it finds the command it made.
 */
import { Hono } from 'hono';
import { type Ordered, orderCommand } from '../../domain/admin/order-command.ts';
import { requeueCommand } from '../../domain/admin/requeue-command.ts';
import type { AdminServices, PageQuery } from '../../domain/admin/services.ts';
import {
  type CommandUuid,
  type MalformedIdentifier,
  parseCommandUuid,
  parseUdid,
  type Udid,
} from '../../domain/ids.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import { readOrder, readRequeue } from './command-order.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { commandQuery } from './schemas/command.ts';
import { availabilityView, commandSummaryView, commandView, orderedView } from './views.ts';

export function commands(services: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:udid/commands', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const query = readQuery(c, commandQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { state, requestType } = query.value;
    const filter = { state: state ?? null, requestType: requestType ?? null };
    let pending = 0;
    const list = async (asked: PageQuery) => {
      const listed = await services.commands.list(udid.value, filter, asked, c.get('nowMs'));
      if (listed.ok) pending = listed.value.pending;
      return listed;
    };
    const scope = ['commands', udid.value, state, requestType];
    const page = await listPage(scope, query.value, list, commandSummaryView);
    return page.ok ? c.json({ ...page.value, pending }) : refused(c, page.refusal);
  });

  app.get('/:udid/available-commands', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const available = await services.commandAdvisor.available(udid.value);
    if (!available.ok) return refused(c, available.refusal);
    return c.json({ items: available.value.map(availabilityView) });
  });

  app.post('/:udid/commands', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const order = await readOrder(c, udid.value, services.newUuid);
    if (!order.ok) return refused(c, order.refusal);
    const ordered = await orderCommand(services, order.value, c.get('nowMs'));
    return ordered.ok ? answerOrdered(c, ordered.value) : refused(c, ordered.refusal);
  });

  app.post('/:udid/commands/:commandUuid/requeue', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const { udid, commandUuid } = place.value;
    const order = await readRequeue(c, udid, commandUuid, services.newUuid);
    if (!order.ok) return refused(c, order.refusal);
    const ordered = await requeueCommand(services, order.value, c.get('nowMs'));
    return ordered.ok ? answerOrdered(c, ordered.value) : refused(c, ordered.refusal);
  });

  app.get('/:udid/commands/:commandUuid', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const { udid, commandUuid } = place.value;
    const command = await services.commands.find(udid, commandUuid, c.get('nowMs'));
    if (command === null) return refused(c, { kind: 'unknown-command', commandUuid });
    return c.json(commandView(command));
  });

  app.delete('/:udid/commands/:commandUuid', async (c) => {
    const place = parsePlace(c.req.param());
    if (!place.ok) return refused(c, place.refusal);
    const { udid, commandUuid } = place.value;
    const canceled = await services.commands.cancel(udid, commandUuid, c.get('nowMs'));
    if (!canceled.ok) return refused(c, canceled.refusal);
    return c.json({ commandUuid, state: canceled.value.state });
  });

  return app;
}

function answerOrdered(c: AdminContext, ordered: Ordered): Response {
  const { udid, commandUuid } = ordered.command;
  const place = `/api/v1/devices/${udid}/commands/${encodeURIComponent(commandUuid)}`;
  if (ordered.created) c.header('Location', place);
  return c.json(orderedView(ordered), ordered.created ? 201 : 200);
}

function parsePlace(names: {
  readonly udid: string;
  readonly commandUuid: string;
}): Outcome<{ udid: Udid; commandUuid: CommandUuid }, MalformedIdentifier> {
  const udid = parseUdid(names.udid);
  if (!udid.ok) return udid;
  const commandUuid = parseCommandUuid(names.commandUuid);
  if (!commandUuid.ok) return commandUuid;
  return ok({ udid: udid.value, commandUuid: commandUuid.value });
}
