import { open, withBrowser } from './browser.mjs';
const [address, folder] = process.argv.slice(2);
await withBrowser(async (browser) => {
  for (const colorScheme of ['light', 'dark']) for (const [size, viewport] of [['wide', { width: 1180, height: 860 }], ['phone', { width: 390, height: 844 }]]) {
    const { page } = await open(browser, address, { viewport, colorScheme, deviceScaleFactor: 1 });
    await page.locator('.streams li').nth(2).waitFor();
    await page.waitForTimeout(size === 'wide' ? 15000 : 6000);
    const shot = (name) => page.screenshot({ path: `${folder}/${name}-${size}-${colorScheme}.png` });
    await shot('streams');
    for (const view of ['streams/live/keynote', 'clients', 'recordings', 'relays', 'activity']) {
      await page.goto(`${address}/#/${view}`);
      await page.waitForTimeout(4500);
      await shot(view.split('/').pop());
    }
    await page.getByRole('button', { name: 'Publish' }).first().click();
    await page.waitForTimeout(1500);
    await shot('publish');
    await page.context().close();
  }
});
