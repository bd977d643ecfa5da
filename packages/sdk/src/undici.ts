/** Loaded late, by way of this module: what a bundle loads late straight from a CommonJS package has none of its names. */
export { Agent, fetch } from 'undici';
