import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../shared/icons';
import { draw } from './keyframes';
import { sleep } from './poll';

/** How often a picture is made anew, in milliseconds: about as often as streams have key frames. */
const interval = 4000;

/** A picture of a stream, made anew while the stream is live and the picture on the screen. */
export function Thumbnail({ streamKey, isLive }: { streamKey: string; isLive: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDrawn = useSignal(false);

  useEffect(() => {
    const element = canvas.current;
    if (!element || !isLive) return;
    let stop = new AbortController();
    const observer = new IntersectionObserver(([entry]) => {
      stop.abort();
      stop = new AbortController();
      if (entry?.isIntersecting) void refresh(stop.signal);
    });
    const refresh = async (signal: AbortSignal) => {
      while (!signal.aborted) {
        if (!document.hidden && (await draw(streamKey, element, signal).catch(() => false))) isDrawn.value = true;
        await sleep(interval, signal);
      }
    };
    observer.observe(element);
    return () => {
      observer.disconnect();
      stop.abort();
    };
  }, [streamKey, isLive]);

  return (
    <div class={isDrawn.value ? 'thumbnail drawn' : 'thumbnail'}>
      <canvas ref={canvas} width={640} height={360} aria-hidden="true" />
      {!isDrawn.value && <Icon name="film" />}
    </div>
  );
}
