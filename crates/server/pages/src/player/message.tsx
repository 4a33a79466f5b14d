import type { ComponentChildren } from 'preact';
import { Icon } from '../shared/icons';
import { titleOf } from './place';
import type { Player } from './player';

/** What stands over the picture while nothing, or nothing more, is played. */
export function Message({ player }: { player: Player }) {
  const title = titleOf(player.place);
  const phase = player.phase.value;
  switch (phase.kind) {
    case 'connecting':
      return <Spinner text="Connecting …" />;
    case 'playing':
      return player.isStalled.value && !player.paused.value ? <Spinner text="Buffering …" /> : null;
    case 'waiting':
      return (
        <Notice title={`${title} is not live`}>
          <p>
            <span class="pulse" aria-hidden="true" /> It begins here by itself when somebody publishes it.
          </p>
        </Notice>
      );
    case 'over':
      return (
        <Notice title="The end">
          <button type="button" class="button" onClick={() => player.togglePlay()}>
            <Icon name="play" filled /> Play again
          </button>
        </Notice>
      );
    case 'refused':
      return (
        <Notice title={`You cannot watch ${title}`}>
          <p>The server says: {phase.reason}.</p>
          {/token/.test(phase.reason) && <p class="faint">Links to this stream have a token: …?token=…</p>}
        </Notice>
      );
    case 'unsupported':
    case 'broken':
      return (
        <Notice title={`${phase.reason}.`}>
          <p>{phase.kind === 'broken' ? 'It is tried again by itself.' : 'VLC plays it at the address of the playlist.'}</p>
          <button type="button" class="button" onClick={() => player.open()}>
            Try again
          </button>
        </Notice>
      );
  }
}

function Notice({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="message" role="status">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

function Spinner({ text }: { text: string }) {
  return (
    <div class="message bare" role="status">
      <span class="spinner" aria-hidden="true" />
      <span class="visually-hidden">{text}</span>
    </div>
  );
}
