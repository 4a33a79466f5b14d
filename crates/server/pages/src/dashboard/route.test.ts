import { expect, test } from 'vitest';
import { parse, replayHref, streamHref } from './route';

test.each([
  ['', { view: 'streams' }],
  ['#/', { view: 'streams' }],
  ['#/streams', { view: 'streams' }],
  ['#/streams/live/demo', { view: 'stream', key: 'live/demo' }],
  ['#/streams/a/b/c', { view: 'stream', key: 'a/b/c' }],
  ['#/streams/live%2Fdemo', { view: 'stream', key: 'live/demo' }],
  ['#/streams/%', { view: 'stream', key: '%' }],
  ['#/publish', { view: 'publish', key: '' }],
  ['#/publish/live/show', { view: 'publish', key: 'live/show' }],
  ['#/clients', { view: 'clients' }],
  ['#/nowhere', { view: 'streams' }],
])('%s leads somewhere', (hash, route) => expect(parse(hash)).toEqual(route));

test('a link leads back to its stream', () => {
  expect(parse(streamHref('live/a.b~c'))).toEqual({ view: 'stream', key: 'live/a.b~c' });
});

test('the player of a recording is not its file', () => {
  expect(replayHref('live_show_20261121_043159.flv')).toBe('/vod/live_show_20261121_043159');
});
