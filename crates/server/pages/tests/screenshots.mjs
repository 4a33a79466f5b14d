/** Takes the pictures of the documents: `node screenshots.mjs URL FOLDER`, where a server at URL has been serving for a while. */

import { advances, open, withBrowser } from './browser.mjs';

const [address, folder] = process.argv.slice(2);

await withBrowser(async (browser) => {
  const colorScheme = 'dark';
  const { page } = await open(browser, address, { viewport: { width: 1060, height: 790 }, colorScheme });
  await page.locator('.streams li').nth(5).waitFor();
  // Until the lines have a length, and every picture is there.
  await page.waitForTimeout(45_000);
  await page.screenshot({ path: `${folder}/dashboard.png` });

  const player = await open(browser, `${address}/live/demo`, { viewport: { width: 1060, height: 600 }, colorScheme });
  await advances(player.page.locator('video'));
  await player.page.keyboard.press('i');
  await player.page.waitForTimeout(12_000);
  await player.page.mouse.move(600, 400);
  await player.page.waitForTimeout(1200);
  await player.page.screenshot({ path: `${folder}/player.png` });
});
