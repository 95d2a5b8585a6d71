/// <reference types="@cloudflare/vitest-plugin/types" />
/** What `test/vitest.config.ts` binds beside the Worker's own bindings. */
declare namespace Cloudflare {
  interface Env {
    TEST_MIGRATIONS: import('cloudflare:test').D1Migration[];
    /** The simulated Apple device authority, whose certificate is in `DEVICE_ANCHORS`. PEM. */
    TEST_DEVICE_CA: { certificate: string; key: string };
    TEST_ATTESTATION_CA: { certificate: string; key: string };
  }
}
