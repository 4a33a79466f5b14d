/** HLS with hls.js, which plays low-latency HLS; where a browser has no Media Source Extensions, its own HLS. */

import Hls, { ErrorDetails, ErrorTypes, Events } from 'hls.js';
import worker from 'hls.js/dist/hls.worker.js?url';
import { playlistOf, type Place } from './place';
import { MediaRate } from './rate';
import type { Ending, Listener, Session, Source } from './source';

/** How often errors of decoders are mended before they count. */
const mostRecoveries = 3;

export const hls: Source = {
  name: 'HLS',
  open(place, video, listener) {
    if (Hls.isSupported()) return openHls(place, video, listener);
    if (video.canPlayType('application/vnd.apple.mpegurl')) return openNative(place, video, listener);
    return null;
  },
};

function openHls(place: Place, video: HTMLVideoElement, listener: Listener): Session {
  const player = new Hls({
    // A worker of an address, not of a blob: the content security policy of the page asks for that.
    workerPath: worker,
    lowLatencyMode: true,
    backBufferLength: place.isRecording ? 60 : 30,
    // A little faster until what a pause cost is caught up with.
    maxLiveSyncPlaybackRate: 1.1,
  });
  const rate = new MediaRate();
  let recoveries = 0;
  let isBegun = false;
  let endWatch: ReturnType<typeof setInterval> | undefined;
  const close = () => {
    clearInterval(endWatch);
    player.destroy();
  };
  const end = (ending: Ending) => {
    close();
    listener.ended(ending);
  };
  player.on(Events.LEVEL_LOADED, (_, { details }) => {
    // A stream that is over can be had for a while longer. Who comes now has come for the next one.
    if (!details.live && !isBegun && !place.isRecording) return end({ kind: 'absent' });
    if (!isBegun) listener.ready();
    isBegun = true;
    if (!details.live && !place.isRecording) {
      clearInterval(endWatch);
      endWatch = setInterval(() => isAtEnd(video, details.edge) && end({ kind: 'absent' }), endInterval);
    }
  });
  player.on(Events.AUDIO_TRACKS_UPDATED, () => listener.changed());
  player.on(Events.AUDIO_TRACK_SWITCHED, () => listener.changed());
  player.on(Events.FRAG_BUFFERED, (_, { frag, part, stats }) => {
    if (frag.type === 'main') rate.add(stats.total, part?.duration ?? frag.duration);
  });
  player.on(Events.ERROR, (_, error) => {
    if (!error.fatal) return;
    if (error.type === ErrorTypes.MEDIA_ERROR && !isUnsupported(error) && recoveries++ < mostRecoveries) {
      player.recoverMediaError();
    } else {
      end(endingOf(error));
    }
  });
  player.loadSource(playlistOf(place));
  player.attachMedia(video);
  return {
    report: () => ({
      transport: player.latestLevelDetails?.partList ? 'LL-HLS' : 'HLS',
      ...defined('codecs', codecsOf(player)),
      ...defined('bitrate', rate.bits),
      ...(place.isRecording ? {} : { latency: player.latency, ...defined('targetLatency', player.targetLatency ?? undefined) }),
    }),
    audio: () => ({
      choices: player.audioTracks.map(({ id, name, lang }) => ({ id, name: name || lang || `Track ${id + 1}` })),
      current: player.audioTrack,
    }),
    chooseAudio: (id) => (player.audioTrack = id),
    livePosition: () => (place.isRecording || !player.latestLevelDetails?.live ? null : player.liveSyncPosition),
    close,
  };
}

/** How often it is looked whether a stream that is over was played to its end, in milliseconds. */
const endInterval = 700;

/** What may be missing at the end of a stream, in seconds: hls.js may leave out the last part of one of the tracks, and the
 *  element then waits for it for ever. */
const endTolerance = 1;

function isAtEnd(video: HTMLVideoElement, edge: number): boolean {
  const waits = video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA && !video.paused && !video.seeking;
  return waits && video.currentTime > edge - endTolerance;
}

function codecsOf(player: Hls): string | undefined {
  const level = player.levels[player.currentLevel] ?? player.levels[0];
  const codecs = [level?.videoCodec, level?.audioCodec].filter(Boolean).join(', ');
  return codecs || undefined;
}

function isUnsupported(error: Failure): boolean {
  return (
    error.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR || error.details === ErrorDetails.BUFFER_ADD_CODEC_ERROR
  );
}

/** What is looked at of an error of hls.js. */
interface Failure {
  type: ErrorTypes;
  details: ErrorDetails;
  response?: { code?: number } | undefined;
  networkDetails?: unknown;
}

/** What an error of hls.js means to who watches. */
export function endingOf(error: Failure): Ending {
  const status = error.response?.code ?? 0;
  if (isUnsupported(error)) {
    return { kind: 'unsupported', reason: 'This browser has no decoder for the codecs of this stream' };
  }
  if (status === 404 || status === 410) return { kind: 'absent' };
  if (status === 401 || status === 403 || status === 429) return { kind: 'refused', reason: reasonOf(error, status) };
  if (error.type === ErrorTypes.MEDIA_ERROR) return { kind: 'broken', reason: 'The browser cannot decode the stream' };
  return { kind: 'broken', reason: status ? `The server answers ${status}` : 'The server does not answer' };
}

/** The sentence of the problem document that the server answered, if hls.js has kept it. */
function reasonOf(error: Failure, status: number): string {
  const request = error.networkDetails;
  const text = request && typeof request === 'object' && 'response' in request ? request.response : null;
  try {
    const { detail } = JSON.parse(String(text)) as { detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // No problem document.
  }
  return status === 429 ? 'too many attempts' : 'the server does not let you watch this';
}

function openNative(place: Place, video: HTMLVideoElement, listener: Listener): Session {
  const stop = new AbortController();
  const { signal } = stop;
  const close = () => {
    stop.abort();
    video.removeAttribute('src');
    video.load();
  };
  video.addEventListener('loadedmetadata', () => listener.ready(), { signal });
  video.addEventListener(
    'error',
    () => {
      close();
      // The element does not tell the status of an answer.
      listener.ended({ kind: 'absent' });
    },
    { signal },
  );
  video.src = playlistOf(place);
  return {
    report: () => ({ transport: 'HLS' }),
    audio: () => ({ choices: [], current: -1 }),
    chooseAudio: () => {},
    livePosition: () => (place.isRecording || !video.seekable.length ? null : video.seekable.end(video.seekable.length - 1)),
    close,
  };
}

/** An object with a property, or without it where there is no value. */
function defined<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [P in K]: V });
}
