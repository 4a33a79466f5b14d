/** Plays a stream as long as the page is open: waits until it is live, and again when it has ended. */

import { batch, signal } from '@preact/signals';
import type { Place } from './place';
import type { AudioChoice, Ending, Session, Source } from './source';

/** What the page shows over the picture. */
export type Phase =
  | { kind: 'connecting' }
  /** Nobody publishes it; asked again by itself. */
  | { kind: 'waiting' }
  | { kind: 'playing' }
  /** A recording was played to its end. */
  | { kind: 'over' }
  | Exclude<Ending, { kind: 'absent' }>;

/** Pause before the server is asked again, in milliseconds, with a little chance so that not all viewers come at once. */
const pause = { absent: 1500, broken: 3000 };

export class Player {
  readonly phase = signal<Phase>({ kind: 'connecting' });
  readonly paused = signal(true);
  readonly muted = signal(false);
  readonly volume = signal(1);
  /** The browser lets nothing be heard before somebody touches the page. */
  readonly wantsGesture = signal(false);
  readonly isStalled = signal(false);
  readonly audio = signal<{ choices: AudioChoice[]; current: number }>({ choices: [], current: -1 });
  session: Session | null = null;
  private source = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly place: Place,
    readonly video: HTMLVideoElement,
    private readonly sources: readonly Source[],
  ) {
    const note = () => {
      batch(() => {
        this.paused.value = video.paused;
        this.muted.value = video.muted;
        this.volume.value = video.volume;
        if (!video.muted) this.wantsGesture.value = false;
      });
    };
    for (const event of ['play', 'pause', 'volumechange']) video.addEventListener(event, note);
    video.addEventListener('waiting', () => (this.isStalled.value = true));
    video.addEventListener('playing', () => (this.isStalled.value = false));
    video.addEventListener('ended', () => this.onEnd());
    this.open();
  }

  /** Begins, or begins again, with the source that is next. */
  open(): void {
    clearTimeout(this.timer);
    this.session?.close();
    this.session = null;
    const source = this.sources[this.source];
    if (!source) {
      this.phase.value = { kind: 'unsupported', reason: 'This browser knows no way to play live streams' };
      return;
    }
    let isOpen = true;
    const session = source.open(this.place, this.video, {
      ready: () => void this.play(),
      changed: () => (this.audio.value = this.session?.audio() ?? this.audio.value),
      ended: (ending) => {
        if (!isOpen) return;
        isOpen = false;
        this.onEnding(ending);
      },
    });
    if (session) {
      this.session = session;
    } else {
      this.source++;
      this.open();
    }
  }

  /** Plays; without sound if the browser allows no other beginning. */
  async play(): Promise<void> {
    this.phase.value = { kind: 'playing' };
    try {
      await this.video.play();
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'NotAllowedError')) return;
      this.video.muted = true;
      this.wantsGesture.value = true;
      await this.video.play().catch(() => (this.paused.value = true));
    }
  }

  togglePlay(): void {
    if (this.phase.value.kind === 'over') {
      this.video.currentTime = 0;
      void this.play();
    } else if (!this.video.paused) {
      this.video.pause();
    } else {
      // Who comes back from a pause of a live stream wants what is live, if the pause was long.
      if ((this.behind() ?? 0) > 30) this.goLive();
      void this.play();
    }
  }

  toggleMute(): void {
    this.video.muted = !this.video.muted;
    if (!this.video.muted && this.video.volume === 0) this.video.volume = 1;
  }

  setVolume(volume: number): void {
    this.video.volume = Math.min(1, Math.max(0, volume));
    this.video.muted = this.video.volume === 0;
  }

  chooseAudio(id: number): void {
    this.session?.chooseAudio(id);
  }

  /** Seconds behind what is live; null for recordings. */
  behind(): number | null {
    const live = this.session?.livePosition() ?? null;
    return live === null ? null : live - this.video.currentTime;
  }

  goLive(): void {
    const live = this.session?.livePosition() ?? null;
    if (live !== null) this.video.currentTime = live;
  }

  /** Moves within what can be seeked. */
  seek(seconds: number): void {
    const { seekable } = this.video;
    if (!seekable.length) return;
    const target = this.video.currentTime + seconds;
    this.video.currentTime = Math.min(Math.max(target, seekable.start(0)), seekable.end(seekable.length - 1));
  }

  /** The end of what is played: a recording is over, a publication may be followed by another. */
  private onEnd(): void {
    if (this.place.isRecording) {
      this.phase.value = { kind: 'over' };
    } else {
      this.session?.close();
      this.onEnding({ kind: 'absent' });
    }
  }

  private onEnding(ending: Ending): void {
    this.session = null;
    this.audio.value = { choices: [], current: -1 };
    if (ending.kind === 'absent') {
      this.phase.value = this.place.isRecording
        ? { kind: 'refused', reason: 'there is no such recording' }
        : { kind: 'waiting' };
      if (!this.place.isRecording) this.later(pause.absent);
    } else {
      this.phase.value = ending;
      if (ending.kind === 'broken') this.later(pause.broken);
    }
  }

  private later(millis: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), millis * (0.75 + Math.random() / 2));
  }
}
