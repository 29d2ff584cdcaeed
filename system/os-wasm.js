// Goes to the front of the bundle. Left to itself emscripten only sets the exit status, and the process
// would live on for as long as anybody may type: end it when the program does.
if (globalThis.process?.versions?.node) {
    // Code made at run time says which of its branches are cold. The engines of Node 20 to 24 only
    // listen when told to; where the flag is unknown, it is an error message.
    if (parseInt(process.versions.v8) <= 13) {
        require('v8').setFlagsFromString('--experimental-wasm-branch-hinting');
    }
    // Files that one thread opens are used and closed by others: Node must not tie them to its own.
    globalThis.Worker = class extends globalThis.Worker {
        constructor(script, options) {
            super(script, { ...options, trackUnmanagedFds: false });
        }
    };
    Module['onExit'] = (status) => process.exit(status);
}
