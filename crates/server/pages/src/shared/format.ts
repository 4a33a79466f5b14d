/** Numbers, times and sizes as people read them. */

const nothing = '–';

/** Bits per second: `2.51 Mb/s`. */
export function bitRate(bits: number | null | undefined): string {
  if (bits == null) return nothing;
  if (bits >= 1e9) return `${digits(bits / 1e9)} Gb/s`;
  if (bits >= 1e6) return `${digits(bits / 1e6)} Mb/s`;
  if (bits >= 1e3) return `${digits(bits / 1e3)} kb/s`;
  return `${Math.round(bits)} b/s`;
}

/** Bytes, in powers of 1000: `45.0 MB`. */
export function bytes(count: number | null | undefined): string {
  if (count == null) return nothing;
  if (count >= 1e12) return `${digits(count / 1e12)} TB`;
  if (count >= 1e9) return `${digits(count / 1e9)} GB`;
  if (count >= 1e6) return `${digits(count / 1e6)} MB`;
  if (count >= 1e3) return `${digits(count / 1e3)} kB`;
  return `${count} B`;
}

/** Three significant digits, whole numbers from 100 on. */
function digits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

/** Seconds as a clock: `1:02:03`, `2:03`. */
export function clock(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return nothing;
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Seconds in the largest fitting unit: `45 s`, `12 min`, `3 h 20 min`, `5 d`. */
export function span(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return nothing;
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

/** Seconds as signed milliseconds: `+12 ms`. */
export function offset(seconds: number | null | undefined): string {
  if (seconds == null) return nothing;
  const millis = Math.round(seconds * 1000);
  return `${millis > 0 ? '+' : millis < 0 ? '−' : '±'}${Math.abs(millis)} ms`;
}

/** Frames per second: `30`, `22.3`. */
export function frameRate(frames: number | null | undefined): string {
  if (frames == null) return nothing;
  const rounded = Math.round(frames * 100) / 100;
  // A second more or less in the measurement is no other frame rate.
  return Math.abs(rounded - Math.round(rounded)) < 0.15 ? String(Math.round(rounded)) : rounded.toFixed(1);
}

/** A count with its noun: `1 viewer`, `12 viewers`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}

/** RFC 3339 as a local date and time, short: `21 Nov, 04:31`. */
export function dateTime(text: string | null | undefined): string {
  const date = parse(text);
  if (!date) return nothing;
  const year = date.getFullYear() === new Date().getFullYear() ? {} : ({ year: 'numeric' } as const);
  return date.toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', ...year });
}

/** RFC 3339 as a local time of the day: `04:31:59`. */
export function timeOfDay(text: string | null | undefined): string {
  return parse(text)?.toLocaleTimeString('en-GB') ?? nothing;
}

function parse(text: string | null | undefined): Date | null {
  const date = text ? new Date(text) : null;
  return date && !Number.isNaN(date.getTime()) ? date : null;
}
