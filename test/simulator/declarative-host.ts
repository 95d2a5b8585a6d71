/** What declarative management needs of the device that it runs on: check-in, downloads, and its own state. */
import type { DdmHost } from './ddm.ts';
import type { ManagedDevice } from './device.ts';
import { statusItems, supportedTypes } from './inventory.ts';

export function declarativeHost(device: ManagedDevice): DdmHost {
  const { name, model, supervised } = device;
  return {
    name,
    supportedTypes: supportedTypes(model, supervised),
    // The model is asked for each time: a new system changes it.
    statusItems: () => statusItems(device.model, device.facts),
    statusErrors: () => Object.fromEntries(device.facts.statusErrors),
    ddm: (endpoint, data) =>
      device.checkIn(
        'DeclarativeManagement',
        { Endpoint: endpoint, ...(data === undefined ? {} : { Data: data }) },
        data === undefined ? endpoint : `${endpoint}, ${data.length} bytes`,
      ),
    download: (url, asDevice) =>
      device.exchange({
        step: 'GET asset',
        method: 'GET',
        url,
        headers: asDevice ? { 'mdm-signature': device.mdmSignature(new Uint8Array()) } : {},
        sent: 'asset',
      }),
  };
}
