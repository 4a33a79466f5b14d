import { expect, test } from 'vitest';
import { extend, kept, outRate, sparkline, type Sample } from './history';

const sample = (at: number): Sample => ({ at, bitrate: 1, frameRate: 1, viewers: 0, bytesOut: at * 1000 });

test('it goes back as far as it says', () => {
  let samples: Sample[] = [];
  for (let at = 0; at < 2 * kept; at++) samples = extend(samples, sample(at));
  expect(samples.length).toBe(kept);
  expect(samples[0]?.at).toBe(kept);
});

test('a clock that is set back begins anew', () => {
  expect(extend([sample(10), sample(11)], sample(5))).toEqual([sample(5)]);
});

test('a line is as high as its highest value and has holes', () => {
  expect(sparkline([0, 10, null, 5, 5], 40, 10)).toBe('M0 10L10 0M30 5L40 5');
  expect(sparkline([null, 3], 40, 10)).toBe('');
  expect(sparkline([0, 0], 40, 10)).toBe('M0 10L40 10');
});

test('the rate to the viewers is that of the last seconds', () => {
  expect(outRate([])).toBe(0);
  expect(outRate([sample(1)])).toBe(0);
  expect(outRate([sample(0), sample(1), sample(20), sample(22), sample(24)])).toBe(8000);
  expect(outRate([sample(20), { ...sample(21), bytesOut: 0 }])).toBe(0);
});
