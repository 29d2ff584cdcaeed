// Goes to the front of the bundle. Left to itself emscripten only sets the exit status, and the process
// would live on for as long as anybody may type: end it when the program does.
if (globalThis.process?.versions?.node) {
    Module['onExit'] = (status) => process.exit(status);
}
