/** The administrator's side of the API, as far as the demo and the bench need it. */

export interface AdminExchange {
  readonly method: string;
  readonly path: string;
  readonly sent: string;
  readonly status: number;
  readonly answered: string;
}

export type Json = Readonly<Record<string, unknown>>;

export class AdminError extends Error {}

export class AdminClient {
  readonly #url: string;
  readonly #key: string;
  readonly #trace: (exchange: AdminExchange) => void;

  constructor(url: string, key: string, trace: (exchange: AdminExchange) => void = () => {}) {
    this.#url = url;
    this.#key = key;
    this.#trace = trace;
  }

  get(path: string): Promise<Json> {
    return this.#request('GET', path);
  }

  post(path: string, body: Json): Promise<Json> {
    return this.#request('POST', path, body);
  }

  put(path: string, body: Json, headers: Readonly<Record<string, string>> = {}): Promise<Json> {
    return this.#request('PUT', path, body, headers);
  }

  /** Asks again until `done`: what a device did reaches the records a moment later. */
  async until(path: string, done: (value: Json) => boolean, withinMs = 5000): Promise<Json> {
    const quiet = new AdminClient(this.#url, this.#key);
    const givenUpAt = performance.now() + withinMs;
    for (;;) {
      const value = await quiet.get(path);
      if (done(value)) return value;
      if (performance.now() > givenUpAt) throw new AdminError(`${path} stayed ${JSON.stringify(value)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #request(
    method: string,
    path: string,
    body?: Json,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Json> {
    const sent = body === undefined ? '' : JSON.stringify(body);
    const response = await fetch(`${this.#url}/api/v1/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(sent && { 'content-type': 'application/json' }),
        ...more,
      },
      ...(sent && { body: sent }),
    });
    const answered = await response.text();
    this.#trace({ method, path: `/api/v1/${path}`, sent, status: response.status, answered });
    if (!response.ok) throw new AdminError(`${method} ${path}: ${response.status} ${answered}`);
    return answered === '' ? {} : JSON.parse(answered);
  }
}
