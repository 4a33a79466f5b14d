/** What the list of streams and the page of one stream have in common. */

import type { Stream } from '../api/types';
import { count, frameRate } from '../shared/format';

const states = { live: 'Live', interrupted: 'Interrupted', waiting: 'Waiting' };

export function State({ stream }: { stream: Stream }) {
  return <span class={`state ${stream.state}`}>{states[stream.state]}</span>;
}

const protocols: Record<string, string> = {
  rtmp: 'RTMP',
  rtmps: 'RTMPS',
  flv: 'HTTP-FLV',
  hls: 'HLS',
  dash: 'DASH',
  whep: 'WebRTC',
  fmp4: 'fMP4',
};

/** A protocol as people write it. */
export function protocolName(label: string): string {
  return protocols[label] ?? label.toUpperCase();
}

/** How many viewers by which protocol: `2 RTMP · 5 HLS`. */
export function byProtocol(viewers: Record<string, number>): string {
  const parts = Object.entries(viewers).filter(([, number]) => number > 0);
  return parts.map(([label, number]) => `${number} ${protocolName(label)}`).join(' · ');
}

export function viewers(stream: Stream): string {
  return count(stream.viewers, 'viewer');
}

/** What a stream is: `1280×720 · 30 fps · H.264 + AAC`. */
export function summary(stream: Stream): string {
  const codecs = [stream.videoCodec, stream.audioCodec].filter((codec) => codec !== null).join(' + ');
  const rate = stream.frameRate ? `${frameRate(stream.frameRate)} fps` : null;
  return [stream.resolution?.replace('x', '×'), rate, codecs || null].filter(Boolean).join(' · ');
}
