import { useSignal } from '@preact/signals';
import { post, segment } from '../api/client';
import type { Stream, Track } from '../api/types';
import { CopyField } from '../shared/copy';
import { Dialog } from '../shared/dialog';
import { bitRate, bytes, clock, dateTime, frameRate, offset } from '../shared/format';
import { Icon } from '../shared/icons';
import { attempt } from '../shared/toast';
import { playAddresses } from './addresses';
import { ClientsOf } from './clients';
import { outRate } from './history';
import { Plot } from './plot';
import { playerHref } from './route';
import { histories, serverInfo, streams } from './store';
import { byProtocol, protocolName, State, summary } from './stream-parts';
import { Thumbnail } from './thumbnail';
import { Watch } from './watch';

/** Everything about one stream. */
export function StreamPage({ streamKey }: { streamKey: string }) {
  const stream = streams.value?.find((stream) => stream.streamKey === streamKey);
  return (
    <>
      <div class="heading">
        <a class="button quiet back" href="#/streams" aria-label="All streams">
          <Icon name="back" />
        </a>
        <h1>{streamKey}</h1>
        {stream && <State stream={stream} />}
        {stream?.active && <Actions stream={stream} />}
      </div>
      {stream ? <Details stream={stream} /> : streams.value && <Gone streamKey={streamKey} />}
    </>
  );
}

function Gone({ streamKey }: { streamKey: string }) {
  return (
    <section class="card empty">
      <h2>{streamKey} is not on air</h2>
      <p>Nobody publishes it, and nobody waits for it. This page shows it as soon as that changes.</p>
      <p>
        <a class="button primary" href={`#/publish/${streamKey}`}>
          <Icon name="publish" /> Set up an encoder for it
        </a>
      </p>
    </section>
  );
}

function Actions({ stream }: { stream: Stream }) {
  const isStopping = useSignal(false);
  const key = stream.streamKey;
  const path = `/streams/${segment(key)}`;
  const record = () => {
    const [verb, done] = stream.recording ? ['stop', 'Recording stopped'] : ['start', 'Recording started'];
    return attempt(() => post(`${path}/record/${verb}`), done!);
  };
  return (
    <div class="actions">
      <Watch class="button primary" href={playerHref(key)} streamKey={key}>
        <Icon name="play" filled /> Watch
      </Watch>
      <button type="button" class="button" aria-pressed={stream.recording} onClick={() => void record()}>
        <Icon name={stream.recording ? 'stop' : 'record'} filled />
        {stream.recording ? 'Stop recording' : 'Record'}
      </button>
      <button type="button" class="button danger" onClick={() => (isStopping.value = true)}>
        Stop stream
      </button>
      {isStopping.value && (
        <Dialog title={`Stop ${key}?`} onClose={() => (isStopping.value = false)}>
          <p>
            The publisher is told that the stream is over, and {stream.viewers} viewers see its end. An encoder that
            reconnects by itself is back in seconds: to keep it away, kick it with a ban.
          </p>
          <p class="actions">
            <button type="button" class="button" onClick={() => (isStopping.value = false)}>
              Cancel
            </button>
            <button
              type="button"
              class="button primary danger"
              onClick={() => {
                isStopping.value = false;
                void attempt(() => post(`${path}/stop`), `${key} was stopped`);
              }}
            >
              Stop stream
            </button>
          </p>
        </Dialog>
      )}
    </div>
  );
}

function Details({ stream }: { stream: Stream }) {
  const key = stream.streamKey;
  return (
    <>
      <div class="overview">
        <div class="card picture-card">
          <Thumbnail streamKey={key} isLive={stream.state === 'live'} />
          <p class="muted">{summary(stream) || 'Viewers wait for a publisher.'}</p>
        </div>
        <Figures stream={stream} />
      </div>
      <div class="plots">
        <Plot streamKey={key} title="Bit rate" color="--plot-1" format={bitRate} value={(sample) => sample.bitrate} />
        <Plot
          streamKey={key}
          title="Frames per second"
          color="--plot-2"
          format={(value) => frameRate(value)}
          value={(sample) => sample.frameRate}
        />
      </div>
      <div class="columns">
        <section class="part">
          <h2>Tracks</h2>
          <Tracks tracks={stream.tracks} />
        </section>
        <section class="part">
          <h2>Addresses</h2>
          <Addresses streamKey={key} />
        </section>
      </div>
      <section class="part">
        <h2>Clients</h2>
        <ClientsOf streamKey={key} />
      </section>
    </>
  );
}

function Figures({ stream }: { stream: Stream }) {
  const out = outRate(histories.value.get(stream.streamKey) ?? []);
  const gop = stream.gopDuration === null ? null : `${stream.gopDuration.toFixed(2)} s`;
  const figures: [string, string, string?][] = [
    ['On air', clock(stream.active ? stream.duration : null), stream.startedAt ? `since ${dateTime(stream.startedAt)}` : ''],
    ['Viewers', String(stream.viewers), byProtocol(stream.viewersByProtocol)],
    ['In', bitRate(stream.bitrate), bytes(stream.bytesIn)],
    ['Out', bitRate(out), bytes(stream.bytesOut)],
    ['Frames per second', frameRate(stream.frameRate)],
    ['Key frame every', gop ?? '–', stream.gopFrames === null ? '' : `${stream.gopFrames} frames`],
    ['A/V drift', offset(stream.avDrift), driftNote(stream.avDrift)],
    ['Publisher', stream.publisher ? protocolName(stream.publisher.protocol) : '–', stream.publisher?.remote ?? ''],
    ['Skips', String(stream.framesDropped), 'of slow viewers'],
    ['Repairs', String(stream.timestampsRepaired), 'of timestamps'],
    ['Buffered', bytes(stream.bufferedBytes), 'for late viewers'],
  ];
  return (
    <dl class="card facts">
      {figures.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="number">
            {value}
            {note && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** From here on people see that lips and voice part (ITU-R BT.1359: detectable beyond +45 and −125 ms). */
function driftNote(seconds: number | null): string {
  if (seconds === null) return '';
  if (seconds > 0.045) return 'sound is early';
  return seconds < -0.125 ? 'sound is late' : 'in sync';
}

function Tracks({ tracks }: { tracks: Track[] }) {
  const shown = tracks.filter((track) => track.kind !== 'data');
  if (shown.length === 0) return <p class="card nothing">No audio and no video yet.</p>;
  return (
    <ul class="card rows">
      {shown.map((track) => (
        <li key={`${track.kind}${track.id}`}>
          <span class={`kind ${track.kind}`}>{track.kind === 'video' ? 'Video' : 'Audio'}</span>
          <strong>{track.codec}</strong>
          <span class="muted">{aboutTrack(track)}</span>
          {track.codecString && <code class="muted">{track.codecString}</code>}
        </li>
      ))}
    </ul>
  );
}

function aboutTrack(track: Track): string {
  const rate = track.sampleRate && `${track.sampleRate / 1000} kHz`;
  const channels = track.channels && (['', 'mono', 'stereo'][track.channels] ?? `${track.channels} channels`);
  return [track.resolution?.replace('x', '×'), rate, channels, bytes(track.bytes)].filter(Boolean).join(' · ');
}

function Addresses({ streamKey }: { streamKey: string }) {
  const server = serverInfo.value;
  const rtmp = server?.rtmpUrl ? `${server.rtmpUrl}/${streamKey}` : null;
  return (
    <div class="card fields">
      {playAddresses(location.origin, streamKey, rtmp, null).map(({ label, url }) => (
        <CopyField key={label} label={label} value={url} />
      ))}
      {server && server.playAuth !== 'open' && (
        <p class="hint">
          Viewers need a token: <a href={`#/publish/${streamKey}`}>make one</a> that lets them watch.
        </p>
      )}
    </div>
  );
}
