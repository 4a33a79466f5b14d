/** What the tests in a browser share: Chromium, and a watch over everything it asks for and complains about. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

/** Far longer than anything takes, in milliseconds, also on a machine that stands still for seconds. */
export const patience = 120_000;

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--allow-loopback-in-peer-connection',
  // Another name for this machine.
  '--host-resolver-rules=MAP flumen.test 127.0.0.1',
  '--autoplay-policy=no-user-gesture-required',
];

/** Runs `work` with a new browser, which ends with it. */
export async function withBrowser(work) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: flags });
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

/** A page of its own, with what it asks for and complains about. */
export async function open(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const watch = { hosts: new Set(), complaints: [] };
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith('http')) watch.hosts.add(host);
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) watch.complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => watch.complaints.push(String(error)));
  await page.goto(address);
  return { page, context, watch };
}

/** Holds when the page asked nobody but its server, and neither it nor the browser complained. */
export function assertClean(watch, address) {
  assert.deepEqual([...watch.hosts], [new URL(address).host]);
  assert.deepEqual(watch.complaints, []);
}

const axe = createRequire(import.meta.url).resolve('axe-core');

/** Holds when axe finds nothing that keeps people out (WCAG 2.2 A and AA). */
export async function assertAccessible(page, what) {
  // As a debugger does it: the policy of the page lets no other script in.
  const { readFileSync } = await import('node:fs');
  await page.evaluate(readFileSync(axe, 'utf8'));
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  const found = violations.map(({ id, impact, nodes }) => `${what}: ${impact} ${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('; ')}`);
  assert.deepEqual(found, []);
}

/** Holds when nothing reaches beyond the right edge. */
export async function assertFits(page, what) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${what} is ${content} px wide in a window of ${window} px`);
}

/** Waits until `isSo` says yes; what a page does comes a little after what it is asked for. */
export async function eventually(what, isSo) {
  const deadline = Date.now() + patience;
  while (!(await isSo())) {
    assert.ok(Date.now() < deadline, `it never was so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Waits until a video has shown a second of what it has. */
export async function advances(video) {
  await eventually('the video plays', async () => (await video.evaluate((video) => video.currentTime)) > 1);
}

/** Waits until the recording that goes on has so many bytes: it begins with the next key frame. */
export async function recorded(address, bytes) {
  await eventually(`${bytes} bytes are recorded`, async () => {
    const { recordings } = await (await fetch(`${address}/api/v1/recordings`)).json();
    return recordings[0]?.bytes > bytes;
  });
}
