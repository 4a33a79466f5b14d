import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { bitRate, frameRate } from '../shared/format';
import type { Player } from './player';
import { FrameRate } from './rate';

/** How often the figures are looked at, in milliseconds. */
const interval = 1000;

type Row = [name: string, value: string];

const rows = signal<Row[]>([]);

/** How the stream comes in, figure by figure, over the picture. */
export function Statistics({ player }: { player: Player }) {
  useEffect(() => {
    const frames = new FrameRate();
    const look = () => (rows.value = figures(player, frames));
    look();
    const timer = setInterval(look, interval);
    return () => clearInterval(timer);
  }, [player]);
  return (
    <dl class="statistics" aria-label="Statistics">
      {rows.value.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function figures(player: Player, frames: FrameRate): Row[] {
  const { video } = player;
  const report = player.session?.report();
  const quality = video.getVideoPlaybackQuality();
  const rate = frames.next(quality.totalVideoFrames, performance.now() / 1000);
  const seconds = (value: number | undefined) => (value === undefined ? '–' : `${value.toFixed(2)} s`);
  return [
    ['Transport', report?.transport ?? '–'],
    ['Latency', seconds(report?.latency) + (report?.targetLatency ? ` of ${seconds(report.targetLatency)}` : '')],
    ['Buffer', seconds(buffered(video))],
    ['Bit rate', bitRate(report?.bitrate)],
    ['Resolution', video.videoWidth ? `${video.videoWidth}×${video.videoHeight}` : '–'],
    ['Frames', rate === null ? '–' : `${frameRate(rate)} fps`],
    ['Dropped', `${quality.droppedVideoFrames} of ${quality.totalVideoFrames}`],
    ['Codecs', report?.codecs ?? '–'],
    ['Speed', `${video.playbackRate.toFixed(2)}×`],
  ];
}

/** Seconds that are there to be played from here on. */
function buffered(video: HTMLVideoElement): number {
  for (let index = 0; index < video.buffered.length; index++) {
    const [start, end] = [video.buffered.start(index), video.buffered.end(index)];
    if (start <= video.currentTime + 0.1 && video.currentTime <= end) return end - video.currentTime;
  }
  return 0;
}
