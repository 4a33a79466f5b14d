/** What viewers do with the player, in Chromium: `node player.mjs URL ENCODER…`, as in dashboard.mjs. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { advances, assertAccessible, assertClean, assertFits, eventually, open, withBrowser } from './browser.mjs';

const [address, ...encoder] = process.argv.slice(2);

await withBrowser(async (browser) => {
  await playsWhatIsLive(browser);
  await waitsForThePublisher(browser);
  await takesNoBadNames(browser);
  await fitsOnPhones(browser);
});

async function playsWhatIsLive(browser) {
  const { page, context, watch } = await open(browser, `${address}/live/demo`);
  const video = page.locator('video');
  await advances(video);
  const size = await video.evaluate((video) => [video.videoWidth, video.videoHeight]);
  assert.deepEqual(size, [1280, 720]);
  await page.getByRole('button', { name: 'Live', exact: true }).waitFor();
  await page.keyboard.press('i');
  const figure = (name) => page.locator('.statistics > div', { hasText: name }).locator('dd');
  await figure('Bit rate').getByText(/b\/s/).waitFor();
  await figure('Frames').getByText(/fps/).waitFor();
  assert.equal(await figure('Transport').innerText(), 'LL-HLS');
  assert.equal(await figure('Codecs').innerText(), 'avc1.640032, mp4a.40.2');
  await assertAccessible(page, 'the player');
  const is = (state) => video.evaluate((video, state) => video[state], state);
  await page.keyboard.press('m');
  await eventually('m mutes', () => is('muted'));
  await page.keyboard.press('m');
  await page.keyboard.press('ArrowDown');
  await eventually('the arrow turns it down', async () => (await is('volume')) < 1 && !(await is('muted')));
  await page.keyboard.press('Space');
  await eventually('space pauses', () => is('paused'));
  await page.getByRole('button', { name: 'Play (space)' }).click();
  await page.getByRole('button', { name: 'Pause (space)' }).waitFor();
  await page.keyboard.press('f');
  await page.getByRole('button', { name: 'Leave full screen (f)' }).waitFor();
  assertClean(watch, address);
  await context.close();
}

/** Before, while and after somebody publishes. */
async function waitsForThePublisher(browser) {
  const key = 'live/later';
  const { page, context, watch } = await open(browser, `${address}/${key}`);
  await page.getByRole('heading', { name: `${key} is not live` }).waitFor();
  await assertAccessible(page, 'the waiting player');
  const answer = await fetch(`${address}/api/v1/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ streamKey: key }),
  });
  const [program, ...rest] = encoder;
  const publisher = spawn(program, [...rest, (await answer.json()).publishUrl, '--loop'], { stdio: 'ignore' });
  try {
    await advances(page.locator('video'));
    await fetch(`${address}/api/v1/streams/${encodeURIComponent(key)}/stop`, { method: 'POST' });
    publisher.kill('SIGKILL');
    await page.getByRole('heading', { name: `${key} is not live` }).waitFor();
  } finally {
    publisher.kill('SIGKILL');
  }
  // A browser says it of every answer that is an error, also of one that is awaited.
  watch.complaints = watch.complaints.filter((text) => !/404 .*\/live\/later\//.test(text));
  assertClean(watch, address);
  await context.close();
}

async function takesNoBadNames(browser) {
  const { page, context } = await open(browser, `${address}/live/no%20name`);
  await page.getByRole('heading', { name: 'There is nothing at this address' }).waitFor();
  await assertAccessible(page, 'the page of a bad name');
  await page.getByRole('link', { name: 'See what is on air' }).click();
  await page.getByRole('link', { name: 'live/demo', exact: true }).waitFor();
  await context.close();
}

async function fitsOnPhones(browser) {
  const { page, context } = await open(browser, `${address}/live/demo`, { viewport: { width: 360, height: 740 } });
  await advances(page.locator('video'));
  await assertFits(page, 'the player');
  await context.close();
}
