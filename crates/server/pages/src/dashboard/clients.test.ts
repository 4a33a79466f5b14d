import { expect, test } from 'vitest';
import type { Client, ServerEvent } from '../api/types';
import { about } from './activity';
import { matches } from './clients';

const client: Client = {
  id: '7',
  protocol: 'rtmp',
  remote: '192.0.2.7:51234',
  role: 'publisher',
  streamKey: 'live/show',
  name: 'obs-output module',
  user: null,
  connectedAt: '2026-11-21T04:31:59.120Z',
  bytesIn: 1,
  bytesOut: 1,
};

test.each([
  ['', true],
  ['SHOW', true],
  ['obs 192.0', true],
  ['obs vlc', false],
])('the filter "%s" is met: %s', (filter, expected) => expect(matches(client, filter)).toBe(expected));

test('an event is told in one line', () => {
  const event: ServerEvent = { id: 1, time: '', type: 'recording.completed', recording: 'a.flv', durationMs: 61_000, bytes: 1200 };
  expect(about(event)).toBe('a.flv · 1:01 · 1.20 kB');
});
