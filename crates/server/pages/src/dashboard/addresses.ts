/** Where a stream is found, for players and encoders. */


/** What OBS asks for under Settings → Stream, service "Custom". */
export interface ObsSettings {
  server: string;
  streamKey: string;
}

/** Splits `rtmp://host/app/name?query` as OBS wants it: the name and the query are its stream key. */
export function obsSettings(publishUrl: string): ObsSettings | null {
  const parts = /^(rtmps?:\/\/[^/?]+\/[^?]+)\/([^/?]+(?:\?.*)?)$/.exec(publishUrl);
  return parts ? { server: parts[1]!, streamKey: parts[2]! } : null;
}

/** The command that publishes a file with FFmpeg. */
export function ffmpegCommand(publishUrl: string): string {
  return `ffmpeg -re -i input.mp4 -c:v libx264 -preset veryfast -g 60 -c:a aac -f flv '${publishUrl}'`;
}

/** An address to play a stream at, and what it is. */
export interface Address {
  label: string;
  url: string;
}

/** All addresses to play `key` at, with the token where one is needed. */
export function playAddresses(origin: string, key: string, rtmpUrl: string | null, token: string | null): Address[] {
  const query = token ? `?token=${token}` : '';
  const page = { label: 'Player page', url: `${origin}/${key}${query}` };
  const hls = { label: 'HLS', url: `${origin}/${key}/index.m3u8${query}` };
  const dash = { label: 'DASH', url: `${origin}/${key}/manifest.mpd${query}` };
  const flv = { label: 'HTTP-FLV', url: `${origin}/${key}.flv${query}` };
  const rtmp = rtmpUrl ? [{ label: 'RTMP', url: rtmpUrl }] : [];
  return [page, hls, dash, ...rtmp, flv];
}
