import { expect, test } from 'vitest';
import { obsSettings, playAddresses } from './addresses';

test.each([
  ['rtmp://localhost:1935/live/show?token=a.b-c', 'rtmp://localhost:1935/live', 'show?token=a.b-c'],
  ['rtmps://media.example/a/b/c?token=x', 'rtmps://media.example/a/b', 'c?token=x'],
  ['rtmp://[::1]:1935/live/show', 'rtmp://[::1]:1935/live', 'show'],
])('%s is split as OBS wants it', (url, server, streamKey) => {
  expect(obsSettings(url)).toEqual({ server, streamKey });
});

test('what is no address of a stream is not split', () => {
  expect([obsSettings('rtmp://localhost'), obsSettings('rtmp://localhost/live')]).toEqual([null, null]);
});

test('the token follows to all addresses', () => {
  const addresses = playAddresses('http://h', 'live/a', 'rtmp://h/live/a?token=T', 'T').map(({ url }) => url);
  expect(addresses).toContain('http://h/live/a/index.m3u8?token=T');
  expect(addresses.every((url) => url.endsWith('?token=T'))).toBe(true);
  expect(playAddresses('http://h', 'live/a', null, null).map(({ url }) => url)).toContain('http://h/live/a.flv');
});
