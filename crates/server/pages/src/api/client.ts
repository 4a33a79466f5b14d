/** Requests to the API of the server that sent the page, and whether it answers at all. */

import { signal } from '@preact/signals';

/** How the API takes us. */
export type Access =
  | { kind: 'unknown' }
  | { kind: 'granted' }
  /** It wants `api.token`. */
  | { kind: 'locked'; wrongToken: boolean }
  /** It answers only programs on its own machine. */
  | { kind: 'forbidden'; reason: string }
  /** It does not answer. */
  | { kind: 'away' };

export const access = signal<Access>({ kind: 'unknown' });

/** An answer that is an error; the message is the sentence of the problem document. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const storageKey = 'flumen.api-token';

/** The token goes when the tab is closed. */
let token = readStored();

export const hasToken = signal(token !== null);

function readStored(): string | null {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    // Storage is forbidden, or this is no browser: the token lives as long as the page.
    return null;
  }
}

/** Uses another token from now on; `null` forgets it. */
export function setToken(next: string | null): void {
  token = next;
  hasToken.value = next !== null;
  try {
    if (next === null) sessionStorage.removeItem(storageKey);
    else sessionStorage.setItem(storageKey, next);
  } catch {
    // As above.
  }
  access.value = { kind: 'unknown' };
}

/** Asks the API below `/api/v1` and notes how it takes us. Throws an `ApiError` for every error it answers. */
export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  const shown = token;
  if (shown !== null) headers.set('authorization', `Bearer ${shown}`);
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, { ...options, headers });
  } catch (error) {
    if (!options.signal?.aborted) access.value = { kind: 'away' };
    throw error;
  }
  if (response.ok) {
    if (access.peek().kind !== 'granted') access.value = { kind: 'granted' };
    return response;
  }
  const reason = await problemOf(response);
  // An answer to a token that was changed meanwhile says nothing.
  if (response.status === 401 && shown === token) access.value = { kind: 'locked', wrongToken: shown !== null };
  if (response.status === 403) access.value = { kind: 'forbidden', reason };
  throw new ApiError(response.status, reason);
}

async function problemOf(response: Response): Promise<string> {
  const fallback = `the server answers ${response.status} ${response.statusText}`;
  const problem: unknown = await response.json().catch(() => null);
  const detail = problem && typeof problem === 'object' && 'detail' in problem ? problem.detail : null;
  return typeof detail === 'string' ? detail : fallback;
}

export async function get<T>(path: string, options: RequestInit = {}): Promise<T> {
  return (await request(path, options)).json() as Promise<T>;
}

export async function post<T>(path: string, body?: unknown): Promise<T> {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return (await request(path, { method: 'POST', ...json })).json() as Promise<T>;
}

export async function remove(path: string): Promise<void> {
  await request(path, { method: 'DELETE' });
}

/** A stream's key as one segment of a path. */
export function segment(key: string): string {
  return encodeURIComponent(key);
}
