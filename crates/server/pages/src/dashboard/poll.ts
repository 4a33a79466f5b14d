/** Asks for something again and again while somebody looks at the page. */

import { effect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { access, ApiError, get } from '../api/client';

/** After an error it is asked less often. */
const pause = 3000;

/** Asks now and then every `interval` milliseconds until the function it returns is called. */
export function poll<T>(path: string, interval: number, take: (answer: T) => void): () => void {
  const stop = new AbortController();
  void run(path, interval, take, stop.signal);
  return () => stop.abort();
}

async function run<T>(path: string, interval: number, take: (answer: T) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let wait = interval;
    try {
      const answer = await get<T>(path, { signal });
      if (!signal.aborted) take(answer);
    } catch (error) {
      if (signal.aborted) return;
      wait = Math.max(interval, pause);
      // Whoever is locked out must not seem to guess tokens.
      if (error instanceof ApiError && error.status === 401) await unlocked(signal);
    }
    await sleep(wait, signal);
    await visible(signal);
  }
}

/** The same for as long as a component is there. */
export function usePoll<T>(path: string, interval: number, take: (answer: T) => void): void {
  useEffect(() => poll(path, interval, take), [path]);
}

export function sleep(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** Waits until there is another token to try. */
export async function unlocked(signal: AbortSignal): Promise<void> {
  let end = () => {};
  await new Promise<void>((resolve) => {
    end = effect(() => void (access.value.kind !== 'locked' && resolve()));
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  end();
}

function visible(signal: AbortSignal): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', check);
      resolve();
    };
    document.addEventListener('visibilitychange', check);
    signal.addEventListener('abort', check, { once: true });
  });
}
