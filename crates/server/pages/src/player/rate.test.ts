import { expect, test } from 'vitest';
import { FrameRate, MediaRate } from './rate';

test('the bit rate is that of the last seconds of media', () => {
  const rate = new MediaRate();
  expect(rate.bits).toBeUndefined();
  rate.add(9_000_000, 2);
  for (let piece = 0; piece < 60; piece++) rate.add(25_000, 0.2);
  expect(rate.bits).toBeCloseTo(1_000_000);
  rate.add(1, 0);
  expect(rate.bits).toBeCloseTo(1_000_000);
});

test('one long piece is a rate, too', () => {
  const rate = new MediaRate();
  rate.add(1_250_000, 20);
  expect(rate.bits).toBe(500_000);
});

test('frames are counted by the second', () => {
  const rate = new FrameRate();
  expect(rate.next(0, 1)).toBeNull();
  expect(rate.next(30, 2)).toBe(30);
  expect(rate.next(45, 2.5)).toBe(30);
  expect(rate.next(0, 3), 'another stream begins at zero').toBeNull();
});
