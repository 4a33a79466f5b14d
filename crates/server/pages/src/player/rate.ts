/** Seconds of media over which a bit rate is told. */
const span = 10;

/** The bit rate of the media that was fetched of late: bytes by the time they play, not by the time they took. */
export class MediaRate {
  private pieces: { bytes: number; seconds: number }[] = [];

  /** A piece of media was fetched. */
  add(bytes: number, seconds: number): void {
    if (!(seconds > 0)) return;
    this.pieces.push({ bytes, seconds });
    while (this.seconds() - this.pieces[0]!.seconds >= span) this.pieces.shift();
  }

  /** Bits per second. */
  get bits(): number | undefined {
    const bytes = this.pieces.reduce((sum, piece) => sum + piece.bytes, 0);
    return this.pieces.length ? (bytes * 8) / this.seconds() : undefined;
  }

  private seconds(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.seconds, 0);
  }
}

/** Frames per second, from a counter that is looked at now and then. */
export class FrameRate {
  private last: { frames: number; at: number } | null = null;

  /** `at` in seconds. */
  next(frames: number, at: number): number | null {
    const before = this.last;
    this.last = { frames, at };
    if (!before || at <= before.at || frames < before.frames) return null;
    return (frames - before.frames) / (at - before.at);
  }
}
