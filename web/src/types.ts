// What both hosts export.
export type { RunOptions, RunResult } from './agent.js';
export { Console, type TerminalLike } from './console.js';
export type { MachineEvents } from './machine.js';
export type { Disk, MachineOptions, Progress, ShareOptions, Source } from './options.js';
export { type FileInfo, Share } from './share.js';
