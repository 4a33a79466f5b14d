import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { clock } from '../shared/format';
import { Icon } from '../shared/icons';
import type { Player } from './player';

/** From so many seconds behind, what is shown is not live. */
const liveWithin = 6;

interface ControlsProps {
  player: Player;
  onStatistics: () => void;
  onFullscreen: () => void;
  hasStatistics: boolean;
  isFullscreen: boolean;
}

/** The bar under the picture. */
export function Controls({ player, onStatistics, onFullscreen, hasStatistics, isFullscreen }: ControlsProps) {
  const isMuted = player.muted.value || player.volume.value === 0;
  return (
    <div class="controls" role="group" aria-label="Controls">
      <button type="button" aria-label={player.paused.value ? 'Play (space)' : 'Pause (space)'} onClick={() => player.togglePlay()}>
        <Icon name={player.paused.value ? 'play' : 'pause'} filled />
      </button>
      <button type="button" aria-label={isMuted ? 'Unmute (m)' : 'Mute (m)'} onClick={() => player.toggleMute()}>
        <Icon name={isMuted ? 'muted' : 'volume'} />
      </button>
      <input
        class="volume"
        type="range"
        min="0"
        max="1"
        step="0.05"
        aria-label="Volume"
        value={isMuted ? 0 : player.volume.value}
        onInput={(event) => player.setVolume(event.currentTarget.valueAsNumber)}
      />
      {player.place.isRecording ? <Position player={player} /> : <Live player={player} />}
      <AudioChoice player={player} />
      <button type="button" aria-label="Statistics (i)" aria-pressed={hasStatistics} onClick={onStatistics}>
        <Icon name="activity" />
      </button>
      {document.pictureInPictureEnabled && (
        <button type="button" aria-label="Picture in picture (p)" onClick={() => void togglePicture(player.video)}>
          <Icon name="picture" />
        </button>
      )}
      <button type="button" aria-label={isFullscreen ? 'Leave full screen (f)' : 'Full screen (f)'} onClick={onFullscreen}>
        <Icon name={isFullscreen ? 'shrink' : 'grow'} />
      </button>
    </div>
  );
}

/** Shows the picture over other windows, or here again. */
export async function togglePicture(video: HTMLVideoElement): Promise<void> {
  const isOut = document.pictureInPictureElement === video;
  // It is refused while there is no picture yet; then nothing happens.
  await (isOut ? document.exitPictureInPicture() : video.requestPictureInPicture()).catch(() => undefined);
}

/** Whether what is shown is live, and the way there. */
function Live({ player }: { player: Player }) {
  const behind = useSignal<number | null>(null);
  useEffect(() => {
    const timer = setInterval(() => (behind.value = player.behind()), 500);
    return () => clearInterval(timer);
  }, [player]);
  const isLive = player.phase.value.kind === 'playing' && !player.paused.value && (behind.value ?? 0) < liveWithin;
  return (
    <button type="button" class={isLive ? 'live now' : 'live'} disabled={isLive} onClick={() => (player.goLive(), void player.play())}>
      {isLive ? 'Live' : 'Go live'}
      {!isLive && behind.value !== null && behind.value >= liveWithin && <span class="number"> −{clock(behind.value)}</span>}
    </button>
  );
}

/** Where in a recording we are. */
function Position({ player }: { player: Player }) {
  const { video } = player;
  const time = useSignal(0);
  const length = useSignal(0);
  useEffect(() => {
    const stop = new AbortController();
    const note = () => {
      time.value = video.currentTime;
      length.value = Number.isFinite(video.duration) ? video.duration : 0;
    };
    for (const event of ['timeupdate', 'durationchange', 'seeking']) video.addEventListener(event, note, stop);
    note();
    return () => stop.abort();
  }, [video]);
  return (
    <>
      <input
        class="position"
        type="range"
        min="0"
        max={length.value}
        step="any"
        aria-label="Position"
        aria-valuetext={`${clock(time.value)} of ${clock(length.value)}`}
        value={time.value}
        onInput={(event) => (video.currentTime = event.currentTarget.valueAsNumber)}
      />
      <span class="number time">
        {clock(time.value)} / {clock(length.value)}
      </span>
    </>
  );
}

function AudioChoice({ player }: { player: Player }) {
  const { choices, current } = player.audio.value;
  if (choices.length < 2) return null;
  return (
    <select
      class="audio"
      aria-label="Audio track (a)"
      value={current}
      onChange={(event) => player.chooseAudio(Number(event.currentTarget.value))}
    >
      {choices.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </select>
  );
}
