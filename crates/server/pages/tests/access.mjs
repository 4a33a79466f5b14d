/** Whom the dashboard answers, in Chromium: `node access.mjs URL`, where FLUMEN_API_TOKEN is the token of the API, if it has one. */

import assert from 'node:assert/strict';
import { assertAccessible, open, withBrowser } from './browser.mjs';

const [address] = process.argv.slice(2);
const token = process.env.FLUMEN_API_TOKEN;

await withBrowser(async (browser) => {
  if (token) await asksForTheToken(browser);
  else await saysThatItIsForItsOwnMachine(browser);
});

async function asksForTheToken(browser) {
  const { page } = await open(browser, address);
  const field = page.getByLabel('API token');
  await field.fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('This is not the token of the server.').waitFor();
  await assertAccessible(page, 'the question for the token');
  await field.fill(token);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'live/demo', exact: true }).waitFor();
  // Pictures and events need it, too.
  await page.locator('.drawn canvas').waitFor();
  await page.reload();
  await page.getByRole('link', { name: 'live/demo', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await field.waitFor();
}

/** Another name for the same machine is what a page of another site could make up. */
async function saysThatItIsForItsOwnMachine(browser) {
  const { port } = new URL(address);
  const { page } = await open(browser, `http://flumen.test:${port}/`);
  await page.getByRole('heading', { name: 'The server shows this only to its own machine' }).waitFor();
  assert.match(await page.getByRole('alert').innerText(), /ask for localhost/);
  await assertAccessible(page, 'the page of a server that does not answer');
}
