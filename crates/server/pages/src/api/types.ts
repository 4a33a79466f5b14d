/** What the API answers, as `/api/v1/openapi.json` describes it; only the fields that the pages show. */

export interface ServerInfo {
  version: string;
  commit: string;
  startedAt: string;
  uptime: number;
  publishAuth: 'open' | 'token' | 'http';
  playAuth: 'open' | 'token' | 'http';
  rtmpUrl: string | null;
}

export interface Stream {
  streamKey: string;
  active: boolean;
  state: 'waiting' | 'live' | 'interrupted';
  viewers: number;
  viewersByProtocol: Record<string, number>;
  startedAt: string | null;
  duration: number;
  videoCodec: string | null;
  audioCodec: string | null;
  resolution: string | null;
  bitrate: number | null;
  frameRate: number | null;
  gopDuration: number | null;
  gopFrames: number | null;
  avDrift: number | null;
  recording: boolean;
  tracks: Track[];
  publisher: { protocol: string; remote: string } | null;
  framesDropped: number;
  timestampsRepaired: number;
  bytesIn: number;
  bytesOut: number;
  bufferedBytes: number;
}

export interface Track {
  kind: 'video' | 'audio' | 'data';
  id: number;
  codec: string;
  codecString: string | null;
  resolution: string | null;
  sampleRate: number | null;
  channels: number | null;
  frames: number;
  bytes: number;
}

export interface Client {
  id: string;
  protocol: string;
  remote: string;
  role: 'publisher' | 'player' | 'none';
  streamKey: string | null;
  name: string;
  user: string | null;
  connectedAt: string;
  bytesIn: number;
  bytesOut: number;
}

export interface Ban {
  streamKey: string;
  remaining: number;
}

export interface Recording {
  id: string;
  streamKey: string | null;
  state: 'recording' | 'completed';
  startedAt: string;
  duration: number | null;
  bytes: number;
}

export interface Relay {
  id: string;
  origin: 'api' | 'settings';
  direction: 'push' | 'pull';
  streamKey: string;
  url: string;
  onDemand: boolean;
  state: 'idle' | 'connecting' | 'running' | 'retrying';
  since: string;
  failures: number;
  lastError: string | null;
  bytes: number;
}

export interface Refusal {
  time: string;
  action: 'publish' | 'play';
  streamKey: string | null;
  protocol: string;
  remote: string;
  reason: string;
  count: number;
}

export interface Token {
  publishUrl?: string;
  streamKey: string;
  token: string;
  expiresAt: string;
}

/** Something that happened; which of the other fields there are depends on its type. */
export interface ServerEvent {
  id: number;
  time: string;
  type: string;
  streamKey?: string | null;
  client?: string;
  protocol?: string;
  remote?: string;
  reason?: string;
  recording?: string;
  durationMs?: number;
  bytes?: number;
}
