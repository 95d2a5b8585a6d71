/**
 * `/devices/{udid}/commands`: queueing a command, following it, taking it back. A request may be repeated: with
 * the same `commandUuid`, or the same `Idempotency-Key`, and the same content it finds the command it made.
 */
import { Hono } from 'hono';
import { orderCommand } from '../../domain/admin/order-command.ts';
import type { AdminServices, PageQuery } from '../../domain/admin/services.ts';
import {
  type CommandUuid,
  type MalformedIdentifier,
  parseCommandUuid,
  parseUdid,
  type Udid,
} from '../../domain/ids.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import { readOrder } from './command-order.ts';
import type { AdminEnv } from './env.ts';
import { readQuery } from './input.ts';
import { listPage } from './listing.ts';
import { refused } from './refusals.ts';
import { onlyPage } from './schemas/values.ts';
import { commandSummaryView, commandView, orderedView } from './views.ts';

export function commands(services: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/:udid/commands', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const query = readQuery(c, onlyPage);
    if (!query.ok) return refused(c, query.refusal);
    const scope = ['commands', udid.value];
    const list = (asked: PageQuery) => services.commands.list(udid.value, asked, c.get('nowMs'));
    const page = await listPage(scope, query.value, list, commandSummaryView);
    return page.ok ? c.json(page.value) : refused(c, page.refusal);
  });

  app.post('/:udid/commands', async (c) => {
    const udid = parseUdid(c.req.param('udid'));
    if (!udid.ok) return refused(c, udid.refusal);
    const order = await readOrder(c, udid.value, services.newUuid);
    if (!order.ok) return refused(c, order.refusal);
    const ordered = await orderCommand(services, order.value, c.get('nowMs'));
    if (!ordered.ok) return refused(c, ordered.refusal);
    const { command, created } = ordered.value;
    if (created) c.header('Location', `${c.req.path}/${encodeURIComponent(command.commandUuid)}`);
    return c.json(orderedView(ordered.value), created ? 201 : 200);
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
