import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const output = 'dist';

/** Where `npm run dev` finds a server to talk to. */
const server = process.env['FLUMEN_URL'] ?? 'http://127.0.0.1:8080';

/** Clears the last build away, but not the file that keeps the folder in the repository. A copy of the sources may lack it. */
function clear(): Plugin {
  return {
    name: 'clear',
    apply: 'build',
    buildStart() {
      mkdirSync(output, { recursive: true });
      for (const name of readdirSync(output)) {
        if (name !== '.gitignore') rmSync(join(output, name), { recursive: true });
      }
    },
  };
}

/** Puts a compressed file beside each one; the server picks one of the two and compresses nothing itself. */
function compress(): Plugin {
  return {
    name: 'compress',
    apply: 'build',
    closeBundle() {
      for (const entry of readdirSync(output, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(html|js|css|svg)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [clear(), compress()],
  build: {
    outDir: output,
    emptyOutDir: false,
    // Everything stands in files of its own: the content security policy forbids what is inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rollupOptions: { input: ['index.html', 'player.html', 'not-found.html'] },
  },
  server: {
    proxy: {
      // The API answers only pages of its own origin.
      '^/(api|metrics|health|ready)(/|$)': { target: server, changeOrigin: true, headers: { origin: server } },
      '^/[^@].*\\.(m3u8|mp4|m4s|ts|flv|vtt)(\\?|$)': { target: server, changeOrigin: true },
    },
  },
  test: { include: ['src/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
