// What all parts of Mantine rest on; each part brings its own (vite.config.ts).
import '@mantine/core/styles/baseline.css';
import '@mantine/core/styles/global.css';
