import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/**
 * The server serves what this builds; there is no development server, because passkeys and cookies belong to the server's origin.
 * While working on the console: `npm start` once, then `vite build --watch --outDir ../../dist/console` here, and reload.
 */
export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2023',
    // The content security policy allows no inline script, and no data: address but for images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
