/** What the dashboard knows of the server. */

import { computed, signal } from '@preact/signals';
import type { Stream } from '../api/types';
import { extend, outRate, type Sample } from './history';
import { poll } from './poll';

/** The server measures rates once a second. */
const interval = 1000;

/** All streams, those on air first; `null` until they are known. */
export const streams = signal<Stream[] | null>(null);

/** The last minutes of each stream. */
export const histories = signal<ReadonlyMap<string, Sample[]>>(new Map());

/** All streams together. */
export const totals = computed(() => {
  const all = streams.value ?? [];
  const sum = (figure: (stream: Stream) => number) => all.reduce((total, stream) => total + figure(stream), 0);
  return {
    live: all.filter((stream) => stream.active).length,
    viewers: sum((stream) => stream.viewers),
    bitsIn: sum((stream) => stream.bitrate ?? 0),
    bitsOut: [...histories.value.values()].reduce((total, samples) => total + outRate(samples), 0),
  };
});

/** Keeps all of this true from now on. */
export function followStreams(): void {
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
