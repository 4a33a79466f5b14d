/**
 * What people do with the dashboard, in Chromium: `node dashboard.mjs URL ENCODER…`, where a server at URL serves its demo
 * stream, asks publishers for tokens, and where ENCODER is the command that publishes to the address it gets.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { assertAccessible, assertClean, assertFits, eventually, open, recorded, withBrowser } from './browser.mjs';

const [address, ...encoder] = process.argv.slice(2);
const views = ['streams', 'streams/live/demo', 'clients', 'recordings', 'relays', 'activity', 'publish'];

await withBrowser(async (browser) => {
  const { page, watch } = await open(browser, address);
  const encoders = [];
  try {
    await showsWhatIsOnAir(page);
    await showsOneStream(page);
    encoders.push(await makesTokenThatPublishes(page));
    await kicks(page);
    await records(page);
    await addsRelay(page);
    await tellsWhatHappens(page);
    assertClean(watch, address);
    await goesByKeyboard(page);
    await worksForEverybody(browser);
  } finally {
    encoders.forEach((process) => process.kill('SIGKILL'));
  }
});

async function showsWhatIsOnAir(page) {
  const card = page.getByRole('listitem').filter({ hasText: 'live/demo' });
  await card.getByText('1280×720').waitFor();
  await card.getByText('Live', { exact: true }).waitFor();
  // The picture is drawn, and is not black.
  const canvas = card.locator('.drawn canvas');
  await canvas.waitFor();
  const isColourful = await canvas.evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(data).size > 32;
  });
  assert.ok(isColourful, 'the picture shows something');
}

async function showsOneStream(page) {
  await page.getByRole('link', { name: 'live/demo', exact: true }).click();
  await page.getByRole('heading', { name: 'live/demo' }).waitFor();
  await page.getByText('60 frames').or(page.getByText(/\d+ frames/)).first().waitFor();
  await page.getByText('in sync').waitFor();
  await page.locator('.plot .number', { hasText: 'Mb/s' }).or(page.locator('.plot .number', { hasText: 'kb/s' })).first().waitFor();
  await page.locator('.plot canvas').first().waitFor();
}

async function makesTokenThatPublishes(page) {
  await page.getByRole('link', { name: 'Publish', exact: true }).click();
  await page.getByLabel('Stream', { exact: false }).first().fill('live/made');
  await page.getByRole('button', { name: 'Make a token' }).click();
  const value = (name) => page.locator('.copy-field', { hasText: name }).locator('code').innerText();
  await page.getByRole('heading', { name: 'OBS' }).waitFor();
  const [server, streamKey] = [await value('Server'), await value('Stream key')];
  assert.match(server, /^rtmp:\/\/.*\/live$/);
  assert.match(streamKey, /^made\?token=/);
  // As OBS puts them together.
  const [program, ...rest] = encoder;
  const publisher = spawn(program, [...rest, `${server}/${streamKey}`, '--loop'], { stdio: 'ignore' });
  await page.getByRole('link', { name: 'Streams', exact: true }).click();
  await page.getByRole('link', { name: 'live/made', exact: true }).waitFor();
  return publisher;
}

async function kicks(page) {
  await page.getByRole('link', { name: 'Clients', exact: true }).click();
  const row = page.getByRole('row').filter({ hasText: 'live/made' });
  await row.getByRole('button', { name: /Kick/ }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('combobox').selectOption({ label: '10 minutes' });
  await dialog.getByRole('button', { name: 'Kick' }).click();
  await row.waitFor({ state: 'detached' });
  const ban = page.getByRole('listitem').filter({ hasText: 'live/made' });
  await ban.getByRole('button', { name: 'Lift' }).click();
  await ban.waitFor({ state: 'detached' });
}

async function records(page) {
  await page.getByRole('link', { name: 'Streams', exact: true }).click();
  await page.getByRole('link', { name: 'live/demo', exact: true }).click();
  await page.getByRole('button', { name: 'Record', exact: true }).click();
  await recorded(address, 10_000);
  await page.getByRole('button', { name: 'Stop recording' }).click();
  await page.getByRole('link', { name: 'Recordings', exact: true }).click();
  const row = page.getByRole('row').filter({ hasText: 'live/demo' });
  await row.getByRole('button', { name: /Play/, disabled: false }).waitFor();
  const download = page.waitForEvent('download');
  await row.getByRole('link', { name: /Download/ }).click();
  assert.match((await download).suggestedFilename(), /^live_demo_\d{8}_\d{6}\.(flv|mp4)$/);
  await row.getByRole('button', { name: /Delete/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await row.waitFor({ state: 'detached' });
}

async function addsRelay(page) {
  await page.getByRole('link', { name: 'Relays', exact: true }).click();
  await page.getByText('Pull from').click();
  await page.getByLabel('Stream here').fill('live/copy');
  await page.getByLabel('Address there').fill('rtmp://127.0.0.1:9/live/there?token=secret');
  await page.getByRole('button', { name: 'Add' }).click();
  const relay = page.getByRole('listitem').filter({ hasText: 'live/copy' });
  await relay.getByText('retrying').waitFor();
  assert.doesNotMatch(await relay.innerText(), /secret/);
  await relay.getByRole('button', { name: /End/ }).click();
  await relay.waitFor({ state: 'detached' });
}

async function tellsWhatHappens(page) {
  await page.getByRole('link', { name: 'Activity', exact: true }).click();
  await page.getByText('stream.started').first().waitFor();
  await page.getByText('recording.completed').first().waitFor();
  await page.getByText('viewer', { exact: true }).click();
  await page.getByText('stream.started').first().waitFor({ state: 'detached' });
  await page.getByRole('heading', { name: 'Refused' }).waitFor();
}

/** From the first Tab to a stream and back, without a pointer. */
async function goesByKeyboard(page) {
  await page.goto(address);
  await page.getByRole('link', { name: 'live/demo', exact: true }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim());
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to the content');
  await page.keyboard.press('Enter');
  for (let presses = 0; (await focused()) !== 'live/demo'; presses++) {
    assert.ok(presses < 10, 'the stream is soon reached');
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'live/demo' }).waitFor();
  await page.getByRole('button', { name: 'Stop stream' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await eventually('the focus is where it was', async () => (await focused()) === 'Stop stream');
}

async function worksForEverybody(browser) {
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
      const { page, context, watch } = await open(browser, address, { colorScheme, viewport, reducedMotion: 'reduce' });
      const backgrounds = { light: 'rgb(246, 247, 249)', dark: 'rgb(13, 17, 23)' };
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(background, backgrounds[colorScheme]);
      for (const view of views) {
        await page.goto(`${address}/#/${view}`);
        await page.waitForTimeout(700);
        const what = `${view}, ${colorScheme}, ${viewport.width} px`;
        await assertFits(page, what);
        await assertAccessible(page, what);
      }
      assertClean(watch, address);
      await context.close();
    }
  }
}
