/** The last minutes of a stream, for plots. */

/** Seconds that are kept. */
export const kept = 300;

/** What is measured each time. `null` is not known. */
export interface Sample {
  /** Unix time in seconds. */
  at: number;
  bitrate: number | null;
  frameRate: number | null;
  viewers: number;
  /** Bytes to viewers since it went on air. */
  bytesOut: number;
}

/** Adds a sample and lets go of what is too old. Samples do not change; the array is a new one, so that signals notice. */
export function extend(samples: readonly Sample[], next: Sample): Sample[] {
  const last = samples.at(-1);
  // The clock was set back: what is known now lies in the future.
  const past = last && last.at >= next.at ? [] : samples;
  return [...past.filter((sample) => sample.at > next.at - kept), next];
}

/** Seconds over which the rate to the viewers is told: the server looks at their sockets every two. */
const rateSpan = 6;

/** Bits per second to the viewers of late. */
export function outRate(samples: readonly Sample[]): number {
  const last = samples.at(-1);
  const first = samples.find((sample) => last && sample.at >= last.at - rateSpan);
  if (!last || !first || last.at === first.at) return 0;
  return Math.max(0, ((last.bytesOut - first.bytesOut) * 8) / (last.at - first.at));
}

/** The points of a small line without axes, in a box of `width` × `height`, as an SVG path. */
export function sparkline(values: readonly (number | null)[], width: number, height: number): string {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return '';
  const top = Math.max(...known) || 1;
  const step = width / (values.length - 1);
  let path = '';
  let isPen = false;
  values.forEach((value, index) => {
    if (value !== null) path += `${isPen ? 'L' : 'M'}${round(index * step)} ${round(height - (value / top) * height)}`;
    isPen = value !== null;
  });
  return path;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
