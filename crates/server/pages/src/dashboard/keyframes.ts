/** Pictures of streams: their key frames, which the browser decodes. */

import { request, segment } from '../api/client';

/** How long a browser may take to decode one frame, in milliseconds. */
const patience = 3000;

/** Frames are decoded one after the other: browsers have few decoders, and a list of streams is long. */
let queue: Promise<unknown> = Promise.resolve();

/** Draws the newest key frame of a stream. False where there is none, or the browser has no decoder for it. */
export async function draw(key: string, canvas: HTMLCanvasElement, signal: AbortSignal): Promise<boolean> {
  const response = await request(`/keyframes/${segment(key)}`, { signal });
  if (response.status === 204) return false;
  const frame = await response.blob();
  const drawn = queue.then(() => !signal.aborted && decode(frame, canvas));
  queue = drawn;
  return drawn;
}

async function decode(frame: Blob, canvas: HTMLCanvasElement): Promise<boolean> {
  const video = document.createElement('video');
  const address = URL.createObjectURL(frame);
  try {
    video.muted = true;
    video.preload = 'auto';
    video.src = address;
    if (!(await isLoaded(video))) return false;
    canvas.height = heightFor(canvas.width, video);
    canvas.getContext('2d')?.drawImage(video, 0, 0, canvas.width, canvas.height);
    return true;
  } finally {
    // Without this the decoder stays until the garbage is collected.
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(address);
  }
}

/** How high a canvas of this width has to be for a picture to keep its shape, be the picture larger or smaller. */
export function heightFor(width: number, picture: { videoWidth: number; videoHeight: number }): number {
  return Math.max(1, Math.round((width * picture.videoHeight) / picture.videoWidth));
}

function isLoaded(video: HTMLVideoElement): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), patience);
    const end = (isGood: boolean) => () => (clearTimeout(timer), resolve(isGood));
    video.addEventListener('loadeddata', end(true), { once: true });
    video.addEventListener('error', end(false), { once: true });
  });
}
