import { describe, expect, test } from 'vitest';
import { bitRate, bytes, clock, count, frameRate, offset, span } from './format';

describe('numbers', () => {
  test.each([
    [null, '–'],
    [0, '0 b/s'],
    [999, '999 b/s'],
    [64_000, '64.0 kb/s'],
    [2_513_400, '2.51 Mb/s'],
    [9_996_000, '10.0 Mb/s'],
    [99_960_000, '100 Mb/s'],
    [1_234_000_000, '1.23 Gb/s'],
  ])('a bit rate of %s is %s', (bits, text) => expect(bitRate(bits)).toBe(text));

  test.each([
    [0, '0 B'],
    [1_250_113, '1.25 MB'],
    [45_001_233, '45.0 MB'],
    [3_100_000_000_000, '3.10 TB'],
  ])('%s bytes are %s', (size, text) => expect(bytes(size)).toBe(text));

  test.each([
    [30.02, '30'],
    [29.97, '30'],
    [23.8, '23.8'],
    [null, '–'],
  ])('%s frames a second are %s', (rate, text) => expect(frameRate(rate)).toBe(text));

  test('a noun follows its number', () => {
    expect([count(0, 'viewer'), count(1, 'viewer'), count(1200, 'viewer')]).toEqual([
      '0 viewers',
      '1 viewer',
      '1,200 viewers',
    ]);
  });
});

describe('times', () => {
  test.each([
    [0, '0:00'],
    [73.9, '1:13'],
    [3723, '1:02:03'],
    [Number.NaN, '–'],
  ])('%s s on a clock is %s', (seconds, text) => expect(clock(seconds)).toBe(text));

  test.each([
    [59.9, '59 s'],
    [60, '1 min'],
    [3600, '1 h'],
    [12_000, '3 h 20 min'],
    [500_000, '5 d'],
  ])('%s s is a span of %s', (seconds, text) => expect(span(seconds)).toBe(text));

  test.each([
    [0.0121, '+12 ms'],
    [-0.3, '−300 ms'],
    [0, '±0 ms'],
    [null, '–'],
  ])('%s s is an offset of %s', (seconds, text) => expect(offset(seconds)).toBe(text));
});
