// For `node --require`: an engine that refuses each second module that is made at run time.
'use strict';

const { Module } = WebAssembly;
let asked = 0;
WebAssembly.Module = class extends Module {
    constructor(bytes, ...rest) {
        const isEmulator = bytes.byteLength > 1 << 20;
        if (!isEmulator && asked++ % 2 === 1) throw new RangeError('refused by the test');
        super(bytes, ...rest);
    }
};
