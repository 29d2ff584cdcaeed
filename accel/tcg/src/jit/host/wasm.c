/*
 * WebAssembly modules made at run time, for the thread that calls. Each emscripten thread has a
 * function table of its own; all have the memory. EM_JS functions need a C function that calls them.
 */
#include <emscripten.h>
#include <stddef.h>
#include <stdint.h>

/* With Asyncify emscripten's own JavaScript does not name the table, and leaves it out. */
EM_JS_DEPS(tinamou_jit, "$wasmTable");

/*
 * How regions reach each other (TailCalls in tcg/src/wasm32): 0 not at all, 1 through the table, 2 by
 * a function that has it. A table of V8 before 13.0 (Node 20 and 22, Chrome 129) has a list of all
 * instances that ever imported it, keeps them, each with a copy of the table, and goes through all
 * whenever an entry is set. First a module with one function, `return_call 0`.
 */
EM_JS(int, tinamou_js_tail_calls, (void), {
    const module = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 0, 18, 0, 11];
    if (!WebAssembly.validate(new Uint8Array(module))) return 0;
    const node = globalThis.process?.versions?.v8;
    if (node) return parseInt(node) < 13 ? 2 : 1;
    const chrome = globalThis.navigator?.userAgent.split("Chrome/")[1];
    return parseInt(chrome) < 130 ? 2 : 1;
})

EM_JS(int, tinamou_js_grow_table, (int count), {
    try {
        return wasmTable.grow(count);
    } catch (error) {
        return -1;
    }
})

EM_JS(int, tinamou_js_instantiate,
      (uintptr_t bytes, int length, uintptr_t functions, int functionCount, uintptr_t slots, int slotCount), {
    try {
        const imports = {
            m: wasmMemory,
            t: wasmTable,
            /*
             * For the modules that import it, one for each thread:
             *   (type (func (param i32 i32) (result i32))) (type (func (param i32 i32 i32) (result i32)))
             *   (import "e" "t" (table 0 funcref)) (func (export "c") (type 1)
             *     local.get 0 local.get 1 local.get 2 return_call_indirect (type 0))
             */
            get c() {
                if (!wasmTable.chain) {
                    const code = [0, 97, 115, 109, 1, 0, 0, 0,
                        1, 14, 2, 96, 2, 127, 127, 1, 127, 96, 3, 127, 127, 127, 1, 127,
                        2, 9, 1, 1, 101, 1, 116, 1, 112, 0, 0, 3, 2, 1, 1, 7, 5, 1, 1, 99, 0, 0,
                        10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 19, 0, 0, 11];
                    const module = new WebAssembly.Module(new Uint8Array(code));
                    wasmTable.chain = new WebAssembly.Instance(module, { e: { t: wasmTable } }).exports.c;
                }
                return wasmTable.chain;
            },
        };
        for (let i = 0; i < functionCount; i++) {
            const pointer = HEAPU32[(functions >>> 2) + i];
            imports[pointer] = wasmTable.get(pointer);
        }
        /* The constructor refuses shared memory. */
        const code = HEAPU8.slice(bytes >>> 0, (bytes >>> 0) + length);
        const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { e: imports });
        for (let i = 0; i < slotCount; i++) {
            wasmTable.set(HEAPU32[(slots >>> 2) + i], instance.exports[i]);
        }
        return 1;
    } catch (error) {
        if (globalThis.process?.env.TINAMOU_JIT_DEBUG) console.error(error);
        return 0;
    }
})

EM_JS(void, tinamou_js_clear_slot, (int slot), {
    wasmTable.set(slot, null);
})

int tinamou_wasm_tail_calls(void)
{
    return tinamou_js_tail_calls();
}

int tinamou_wasm_grow_table(uint32_t count)
{
    return tinamou_js_grow_table((int)count);
}

int tinamou_wasm_instantiate(const uint8_t *bytes, size_t length, const uintptr_t *functions,
                             size_t function_count, const uint32_t *slots, size_t slot_count)
{
    return tinamou_js_instantiate((uintptr_t)bytes, (int)length, (uintptr_t)functions,
                                  (int)function_count, (uintptr_t)slots, (int)slot_count);
}

void tinamou_wasm_clear_slot(uint32_t slot)
{
    tinamou_js_clear_slot((int)slot);
}
