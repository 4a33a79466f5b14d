import { expect, test } from 'vitest';
import { heightFor } from './keyframes';

test.each([
  ['large', 1280, 720, 360],
  ['small', 320, 180, 360],
  ['upright', 1080, 1920, 1138],
  ['a line', 4096, 1, 1],
])('a picture that is %s keeps its shape', (_, videoWidth, videoHeight, height) => {
  expect(heightFor(640, { videoWidth, videoHeight })).toBe(height);
});
