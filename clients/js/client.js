// A thin client of Holdfast's API on the platform's own fetch. What can be called is in api.js.
import { operations } from './api.js';

/** The server refused a request or could not answer it. `status` is 0 when nobody answered. */
export class HoldfastError extends Error {
  constructor(status, { message, id, details } = {}, retryAfter = undefined) {
    super(message ?? `HTTP ${status}`);
    this.name = 'HoldfastError';
    this.status = status;
    this.id = id;
    this.details = details ?? {};
    this.retryAfter = retryAfter;
  }
}

const filled = (path, args) =>
  path.replace(/\{(\w+)\}/g, (_, name) => {
    const value = args[name];
    if (value === undefined || ['', '.', '..'].includes(String(value))) {
      throw new TypeError(`${name} is not an identifier: ${value}`);
    }
    return encodeURIComponent(value);
  });

function addressed(host, { path, query = [] }, args) {
  const url = new URL(host.replace(/\/+$/, '') + filled(path, args));
  for (const name of query) {
    for (const value of [args[name] ?? []].flat()) url.searchParams.append(name, String(value));
  }
  return url;
}

function checked(operation, args) {
  const known = new Set(['body', ...(operation.query ?? [])]);
  for (const [, name] of operation.path.matchAll(/\{(\w+)\}/g)) known.add(name);
  const strange = Object.keys(args).filter((name) => !known.has(name));
  if (strange.length) throw new TypeError(`unknown arguments: ${strange.join(', ')}`);
}

async function failure(response) {
  const retryAfter = Number(response.headers.get('retry-after')) || undefined;
  const { error } = await response.json().catch(() => ({}));
  return new HoldfastError(response.status, error, retryAfter);
}

export class Holdfast {
  #host;
  #token;
  #fetch;

  constructor({ host, token, fetch = globalThis.fetch }) {
    this.#host = host;
    this.#token = token;
    this.#fetch = fetch;
  }

  async #call(operation, args = {}) {
    checked(operation, args);
    const headers = { authorization: `Bearer ${this.#token}` };
    headers['content-type'] = operation.bytes ? 'application/octet-stream' : 'application/json';
    const { body } = args;
    const sent = body === undefined || operation.bytes ? body : JSON.stringify(body);
    const url = addressed(this.#host, operation, args);
    const response = await this.#fetch(url, { method: operation.method, headers, body: sent }).catch(
      (cause) => {
        throw new HoldfastError(0, { message: `${url.origin} cannot be reached: ${cause.message}` });
      },
    );
    if (!response.ok) throw await failure(response);
    if (operation.raw) return response;
    const { data, pagination } = await response.json();
    return pagination === undefined ? data : { data, pagination };
  }

  static {
    for (const [name, operation] of Object.entries(operations)) {
      this.prototype[name] = function (args) {
        return this.#call(operation, args);
      };
    }
  }
}

/** Page after page of a list: `for await (const page of pages((at) => client.listProjects(at)))`. */
export async function* pages(list, args = {}) {
  for (let cursor; ; ) {
    const page = await list(cursor === undefined ? args : { ...args, cursor });
    yield page.data;
    cursor = page.pagination.cursor;
    if (cursor === undefined) return;
  }
}
