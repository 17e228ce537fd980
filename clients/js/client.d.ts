import type { Calls, Page } from './api.js';

export * from './api.js';

/** The server refused a request or could not answer it. `status` is 0 when nobody answered. */
export class HoldfastError extends Error {
  readonly status: number;
  readonly id?: string;
  readonly details: Record<string, unknown>;
  /** Seconds, where the server said so. */
  readonly retryAfter?: number;
}

export interface Holdfast extends Calls {}

export class Holdfast {
  constructor(options: { host: string; token: string; fetch?: typeof fetch });
}

/** Page after page of a list: `for await (const page of pages((at) => client.listProjects(at)))`. */
export function pages<T, A extends object>(
  list: (args: A & { cursor?: string }) => Promise<Page<T>>,
  args?: A,
): AsyncGenerator<T, void, void>;
