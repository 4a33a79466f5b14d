import type { Stream } from '../api/types';
import { bitRate, clock } from '../shared/format';
import { Icon } from '../shared/icons';
import { sparkline } from './history';
import { playerHref, streamHref } from './route';
import { histories, streams, totals } from './store';
import { byProtocol, State, summary, viewers } from './stream-parts';
import { Thumbnail } from './thumbnail';
import { Watch } from './watch';

/** Everything that is on air, or waited for. */
export function Streams() {
  const all = streams.value;
  return (
    <>
      <Totals />
      {all && all.length === 0 ? (
        <NothingOnAir />
      ) : (
        <ul class="streams" aria-label="Streams" aria-busy={all === null}>
          {all?.map((stream) => (
            <StreamCard key={stream.streamKey} stream={stream} />
          ))}
        </ul>
      )}
    </>
  );
}

function Totals() {
  const { live, viewers, viewersByProtocol, bitsIn, bitsOut } = totals.value;
  const figures = [
    ['On air', String(live), ''],
    ['Viewers', viewers.toLocaleString('en'), byProtocol(viewersByProtocol)],
    ['In', bitRate(bitsIn), ''],
    ['Out', bitRate(bitsOut), ''],
  ] as const;
  return (
    <section aria-labelledby="streams-heading">
      <h1 id="streams-heading" class="visually-hidden">
        Streams
      </h1>
      <dl class="totals">
        {figures.map(([name, value, note]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="number">
              {value} {note && <small>{note}</small>}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function StreamCard({ stream }: { stream: Stream }) {
  const key = stream.streamKey;
  const rates = (histories.value.get(key) ?? []).slice(-90).map((sample) => sample.bitrate);
  return (
    <li class="card stream-card">
      <div class="picture">
        <Thumbnail streamKey={key} isLive={stream.state === 'live'} />
        <span class="badges">
          <State stream={stream} />
          {stream.recording && <span class="state recording">Rec</span>}
        </span>
        {stream.active && <span class="duration number">{clock(stream.duration)}</span>}
        {stream.active && (
          <Watch class="watch" href={playerHref(key)} streamKey={key} label={`Watch ${key}`}>
            <Icon name="play" filled />
          </Watch>
        )}
      </div>
      <div class="about">
        <h2>
          <a class="cover" href={streamHref(key)}>
            {key}
          </a>
        </h2>
        <p class="muted">{summary(stream) || 'nobody publishes yet'}</p>
        <div class="figures">
          <p class="number">{bitRate(stream.bitrate)}</p>
          <svg class="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
            <path d={sparkline(rates, 100, 22)} />
          </svg>
          <p class="number viewers" title={byProtocol(stream.viewersByProtocol)}>
            <Icon name="eye" />
            <span aria-label={viewers(stream)}>{stream.viewers.toLocaleString('en')}</span>
          </p>
        </div>
      </div>
    </li>
  );
}

function NothingOnAir() {
  return (
    <section class="card empty">
      <h2>Nothing is on air</h2>
      <p>
        Publish from OBS, FFmpeg or any other RTMP encoder, and it shows up here within a second. The server and the
        stream key that OBS asks for are made for you.
      </p>
      <p>
        <a class="button primary" href="#/publish">
          <Icon name="publish" /> Set up an encoder
        </a>
      </p>
    </section>
  );
}
