/** What happens in the server, as it tells it. */

import { signal } from '@preact/signals';
import { ApiError, request } from '../api/client';
import { read, type Message } from '../api/sse';
import type { ServerEvent } from '../api/types';
import { sleep, unlocked } from './poll';

/** Events that are kept. */
const kept = 300;

/** Pause before the server is asked again, in milliseconds. */
const pause = 2000;

/** The newest first. */
export const events = signal<ServerEvent[]>([]);

/** Follows the events from now on. */
export async function followEvents(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await read(await request('/events', { signal }), (message) => {
        const event = eventOf(message);
        if (event) events.value = [event, ...events.value].slice(0, kept);
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) await unlocked(signal);
    }
    await sleep(pause, signal);
  }
}

function eventOf(message: Message): ServerEvent | null {
  if (message.event === 'missed') {
    const reason = `${message.data} events came too fast and are not shown`;
    return { id: -1, time: new Date().toISOString(), type: 'missed', reason };
  }
  try {
    return JSON.parse(message.data) as ServerEvent;
  } catch {
    return null;
  }
}
