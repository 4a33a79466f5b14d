/** Recordings played back from the dashboard, in Chromium: `node replay.mjs URL`, where a server at URL needs no tokens to play. */

import assert from 'node:assert/strict';
import { advances, assertClean, open, recorded, withBrowser } from './browser.mjs';

const [address] = process.argv.slice(2);

await withBrowser(async (browser) => {
  const { page, watch } = await open(browser, `${address}/#/streams/live/demo`);
  await page.getByRole('button', { name: 'Record', exact: true }).click();
  // Six seconds and more: the demo has 31 kB a second.
  await recorded(address, 200_000);
  await page.getByRole('button', { name: 'Stop recording' }).click();
  await page.getByRole('link', { name: 'Recordings', exact: true }).click();
  const row = page.getByRole('row').filter({ hasText: 'live/demo' });
  await row.getByRole('button', { name: /Play/, disabled: false }).click();
  const player = page.getByRole('dialog').frameLocator('iframe');
  await advances(player.locator('video'));
  await player.getByRole('slider', { name: 'Position' }).waitFor();
  const length = await player.locator('video').evaluate((video) => video.duration);
  assert.ok(length > 4 && length < 600, `${length} s are about what was recorded`);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assertClean(watch, address);
});
