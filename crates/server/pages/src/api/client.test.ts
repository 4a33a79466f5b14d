import { afterEach, expect, test, vi } from 'vitest';
import { access, ApiError, get, post, segment, setToken } from './client';

function answer(status: number, body: unknown): void {
  vi.stubGlobal('fetch', vi.fn(async () => Response.json(body, { status })));
}

function lastRequest(): [string, RequestInit] {
  return vi.mocked(fetch).mock.lastCall as [string, RequestInit];
}

afterEach(() => {
  setToken(null);
  vi.unstubAllGlobals();
});

test('an answer shows that we may ask', async () => {
  answer(200, { streams: [] });
  expect(await get('/streams')).toEqual({ streams: [] });
  expect(access.value).toEqual({ kind: 'granted' });
  expect(lastRequest()[0]).toBe('/api/v1/streams');
});

test('the token is asked for, shown, and known to be wrong', async () => {
  answer(401, { detail: 'show the token' });
  await expect(get('/streams')).rejects.toThrow('show the token');
  expect(access.value).toEqual({ kind: 'locked', wrongToken: false });
  setToken('secret');
  expect(access.value).toEqual({ kind: 'unknown' });
  await expect(get('/streams')).rejects.toThrow(ApiError);
  expect(new Headers(lastRequest()[1].headers).get('authorization')).toBe('Bearer secret');
  expect(access.value).toEqual({ kind: 'locked', wrongToken: true });
});

test('a server that answers only its own machine says so', async () => {
  answer(403, { detail: 'only programs on the same machine are answered' });
  await expect(get('/streams')).rejects.toThrow();
  expect(access.value).toEqual({ kind: 'forbidden', reason: 'only programs on the same machine are answered' });
});

test('a server that is away is no refusal', async () => {
  vi.stubGlobal('fetch', vi.fn().mockRejectedValue(new TypeError('failed to fetch')));
  await expect(get('/streams')).rejects.toThrow();
  expect(access.value).toEqual({ kind: 'away' });
});

test('an error without a problem document has its status', async () => {
  vi.stubGlobal('fetch', vi.fn(async () => new Response('<h1>oops</h1>', { status: 502, statusText: 'Bad Gateway' })));
  await expect(post('/publish', {})).rejects.toThrow('the server answers 502 Bad Gateway');
});

test('a key is one segment', () => {
  expect(segment('live/a~b')).toBe('live%2Fa~b');
});
