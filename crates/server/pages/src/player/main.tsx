import { signal } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from '../shared/icons';
import { Controls, togglePicture } from './controls';
import { hls } from './hls';
import { commandOf, type Command } from './keys';
import { Message } from './message';
import { placeOf, titleOf, type Place } from './place';
import { Player } from './player';
import { Statistics } from './statistics';

/** The ways to play, the best first. */
const sources = [hls];

/** How long the controls stay after the pointer has moved, in milliseconds. */
const controlsStay = 2500;

const hasStatistics = signal(false);
const isIdle = signal(false);
const isFullscreen = signal(false);

function Page({ place }: { place: Place }) {
  const frame = useRef<HTMLElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [player, setPlayer] = useState<Player | null>(null);

  useEffect(() => {
    if (!video.current || !frame.current) return;
    const made = new Player(place, video.current, sources);
    setPlayer(made);
    const run = (command: Command) => obey(command, made, frame.current);
    addEventListener('keydown', (event) => {
      const command = commandOf(event);
      if (!command) return;
      event.preventDefault();
      stir();
      run(command);
    });
    document.addEventListener('fullscreenchange', () => (isFullscreen.value = document.fullscreenElement !== null));
    addEventListener('pointermove', stir);
    addEventListener('focusin', stir);
    stir();
  }, []);

  // Pointers and keys bring the controls; while nothing plays, they stay.
  const hides = isIdle.value && player?.phase.value.kind === 'playing' && !player.paused.value;
  return (
    <main ref={frame} class={hides ? 'frame idle' : 'frame'}>
      <h1 class="visually-hidden">{titleOf(place)}</h1>
      <video ref={video} playsInline aria-label={titleOf(place)} onClick={() => player?.togglePlay()} />
      {player && (
        <>
          <header class="title">
            <span>{titleOf(place)}</span>
          </header>
          {hasStatistics.value && <Statistics player={player} />}
          <Message player={player} />
          {player.wantsGesture.value && player.phase.value.kind === 'playing' && (
            <button type="button" class="unmute" onClick={() => player.toggleMute()}>
              <Icon name="muted" /> Turn the sound on
            </button>
          )}
          <Controls
            player={player}
            hasStatistics={hasStatistics.value}
            isFullscreen={isFullscreen.value}
            onStatistics={() => (hasStatistics.value = !hasStatistics.value)}
            onFullscreen={() => void toggleFullscreen(frame.current, player.video)}
          />
        </>
      )}
    </main>
  );
}

let idleTimer: ReturnType<typeof setTimeout> | undefined;

/** Somebody is there: the controls show for a while. */
function stir(): void {
  isIdle.value = false;
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => (isIdle.value = true), controlsStay);
}

/** Steps of the keys: seconds, and parts of the volume. */
const step = { seconds: 5, volume: 0.05 };

function obey(command: Command, player: Player, frame: HTMLElement | null): void {
  switch (command) {
    case 'play':
      return player.togglePlay();
    case 'mute':
      return player.toggleMute();
    case 'louder':
      return player.setVolume(player.volume.value + step.volume);
    case 'quieter':
      return player.setVolume(player.volume.value - step.volume);
    case 'back':
      return player.seek(-step.seconds);
    case 'forward':
      return player.seek(step.seconds);
    case 'live':
      return player.goLive();
    case 'audio':
      return nextAudio(player);
    case 'statistics':
      hasStatistics.value = !hasStatistics.value;
      return;
    case 'picture':
      return void togglePicture(player.video);
    case 'fullscreen':
      return void toggleFullscreen(frame, player.video);
  }
}

function nextAudio(player: Player): void {
  const { choices, current } = player.audio.value;
  const index = choices.findIndex(({ id }) => id === current);
  const next = choices[(index + 1) % choices.length];
  if (next) player.chooseAudio(next.id);
}

async function toggleFullscreen(frame: HTMLElement | null, video: HTMLVideoElement): Promise<void> {
  if (document.fullscreenElement) return document.exitFullscreen();
  if (frame?.requestFullscreen) return frame.requestFullscreen();
  // iPhones show only videos on the full screen.
  (video as { webkitEnterFullscreen?: () => void }).webkitEnterFullscreen?.();
}

const place = placeOf(location);
document.title = `${titleOf(place)} – Flumen`;
const root = document.getElementById('app');
if (root) render(<Page place={place} />, root);
