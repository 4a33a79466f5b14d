/** What the dashboard knows of the server. */

import { computed, signal } from '@preact/signals';
import type { ServerInfo, Stream } from '../api/types';
import { extend, outRate, type Sample } from './history';
import { poll } from './poll';

/** The server measures rates once a second. */
const interval = 1000;

/** Settings change seldom. */
const serverInterval = 30_000;

/** All streams, those on air first; `null` until they are known. */
export const streams = signal<Stream[] | null>(null);

/** The last minutes of each stream. */
export const histories = signal<ReadonlyMap<string, Sample[]>>(new Map());

/** All streams together. */
export const totals = computed(() => {
  const all = streams.value ?? [];
  const sum = (figure: (stream: Stream) => number) => all.reduce((total, stream) => total + figure(stream), 0);
  const viewersByProtocol: Record<string, number> = {};
  for (const [protocol, number] of all.flatMap((stream) => Object.entries(stream.viewersByProtocol))) {
    viewersByProtocol[protocol] = (viewersByProtocol[protocol] ?? 0) + number;
  }
  return {
    viewersByProtocol,
    live: all.filter((stream) => stream.active).length,
    viewers: sum((stream) => stream.viewers),
    bitsIn: sum((stream) => stream.bitrate ?? 0),
    bitsOut: [...histories.value.values()].reduce((total, samples) => total + outRate(samples), 0),
  };
});

/** What the server is; `null` until it is known. */
export const serverInfo = signal<ServerInfo | null>(null);

/** Keeps all of this true from now on. */
export function followStreams(): void {
  poll<ServerInfo>('/server', serverInterval, (answer) => (serverInfo.value = answer));
  poll<{ streams: Stream[] }>('/streams', interval, (answer) => {
    const at = Date.now() / 1000;
    const before = histories.peek();
    histories.value = new Map(
      answer.streams.map((stream) => {
        const { bitrate, frameRate, viewers, bytesOut } = stream;
        return [stream.streamKey, extend(before.get(stream.streamKey) ?? [], { at, bitrate, frameRate, viewers, bytesOut })];
      }),
    );
    streams.value = answer.streams.sort((a, b) => Number(b.active) - Number(a.active));
  });
}
