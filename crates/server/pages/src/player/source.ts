/** Ways to get a stream into a video element. The page tries them in their order; WebRTC will stand before HLS. */

import type { Place } from './place';

/** Why a source plays nothing, or nothing more. */
export type Ending =
  /** There is nothing to play, now. */
  | { kind: 'absent' }
  /** The server does not let us; in its words. */
  | { kind: 'refused'; reason: string }
  /** The browser cannot: it has no decoder, or does not know this way at all. */
  | { kind: 'unsupported'; reason: string }
  /** The network or the server failed. */
  | { kind: 'broken'; reason: string };

export interface AudioChoice {
  id: number;
  name: string;
}

/** What a source can say of what it plays; what it does not know is left out. */
export interface Report {
  /** How it comes here: `LL-HLS`. */
  transport: string;
  codecs?: string;
  /** Bits per second of what was fetched of late. */
  bitrate?: number;
  /** Seconds behind the publisher, as far as the playlists tell. */
  latency?: number;
  targetLatency?: number;
}

/** A source at work. */
export interface Session {
  report(): Report;
  /** Audio tracks to choose from. */
  audio(): { choices: AudioChoice[]; current: number };
  chooseAudio(id: number): void;
  /** The position in seconds that is live; nothing for recordings. */
  livePosition(): number | null;
  close(): void;
}

/** What a session tells while it plays. */
export interface Listener {
  /** There is media: the element can play. */
  ready(): void;
  /** Tracks came or went. */
  changed(): void;
  /** It is over; the session is closed. */
  ended(ending: Ending): void;
}

export interface Source {
  name: string;
  /** Begins to play; null where this browser knows the way not at all. */
  open(place: Place, video: HTMLVideoElement, listener: Listener): Session | null;
}
