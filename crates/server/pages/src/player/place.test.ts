import { expect, test } from 'vitest';
import { placeOf, playlistOf, titleOf } from './place';

test.each([
  ['/live/show', '', { key: 'live/show', isRecording: false, query: '' }],
  ['/a/b/c', '?x=1&token=a.b-c_d', { key: 'a/b/c', isRecording: false, query: '?token=a.b-c_d' }],
  ['/live%2Fshow/', '', { key: 'live/show', isRecording: false, query: '' }],
  ['/vod/live_show_20261121_043159.flv', '', { key: 'vod/live_show_20261121_043159.flv', isRecording: true, query: '' }],
])('%s%s names a stream', (pathname, search, place) => expect(placeOf({ pathname, search })).toEqual(place));

test('a token cannot become more than a token', () => {
  const place = placeOf({ pathname: '/live/show', search: '?token=a%26b%3D%23' });
  expect(playlistOf(place)).toBe('/live/show/index.m3u8?token=a%26b%3D%23');
});

test('a recording is called as its file', () => {
  expect(titleOf(placeOf({ pathname: '/vod/a.flv', search: '' }))).toBe('a.flv');
});
