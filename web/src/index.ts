// Types of the package: those of a page; Node's have the same names.
export * from './browser.js';
