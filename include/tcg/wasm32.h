/*
 * The header of a translation block (TB): what the interpreter, generated WebAssembly, the C shims
 * and JavaScript all know about a block. This file is the one place where its layout is stated:
 *   - Rust sees it through tcg/src/wasm32_h.rs, which bindgen makes from this file
 *     (`BLESS=1 cargo test -p tcg --test header` writes it anew);
 *   - JavaScript sees it through tb-header.js, which tcg/build.rs makes with the C compiler;
 *   - tcg/tests/header.rs compares all three.
 *
 * The bytecode of a block follows its header at once: the interpreter goes from header to header
 * without reading `tci_code`. Fields that it reads are at the end, near the bytecode.
 */
#ifndef TCG_WASM32_H
#define TCG_WASM32_H

#include <stdint.h>

/* Threads that can run a block: 8 vCPUs and one more. */
#define TB_THREADS_MAX 9

/* Fields that threads change while others look; the Rust view has atomics of the same size. */
typedef uintptr_t tb_atomic_usize;
typedef uint32_t tb_atomic_u32;

/* Bits of `cflags`. */
/* The block is no longer valid: nobody may enter or link it. */
#define TB_CF_INVALID 1u
/* The block counts its instructions (-icount). */
#define TB_CF_ICOUNT 2u
/* The block lies on two guest pages. */
#define TB_CF_TWO_PAGES 4u
/* First bit that the accelerator may use as it likes. */
#define TB_CF_ACCEL_SHIFT 8

/* F(type, name, dimension) */
#define TB_HEADER_FIELDS(F)                                                                       \
    /* Address and bytes of the block's interpreter bytecode. */                                  \
    F(uintptr_t, tci_code, )                                                                      \
    F(uint32_t, tci_len, )                                                                        \
    /* By which the accelerator finds what else it knows about the block. */                      \
    F(uint32_t, tb_index, )                                                                       \
    /* Guest instructions in the block. */                                                        \
    F(uint32_t, icount, )                                                                         \
    /* CPU flags that the block was translated for. */                                            \
    F(uint32_t, tb_flags, )                                                                       \
    /* Guest address of the first instruction. */                                                 \
    F(uint64_t, pc, )                                                                             \
    F(tb_atomic_u32, cflags, )                                                                    \
    /* Number of the WebAssembly module that has the block as an entry of a region; 0 is none.   \
       Its bytes and its imports are with the accelerator: many blocks share them. */             \
    F(tb_atomic_u32, wasm_module, )                                                               \
    /* By thread: index in the thread's function table of the region to enter; 0 is none. */     \
    F(tb_atomic_u32, wasm_instance, [TB_THREADS_MAX])                                             \
    /* By thread: interpreted executions left until the block is hot; only that thread writes. */ \
    F(tb_atomic_u32, exec_count, [TB_THREADS_MAX])                                                \
    /* Headers of the blocks that the two exits are linked to; 0 while unlinked. */               \
    F(tb_atomic_usize, jmp_target, [2])

#define TB_HEADER_DECLARE(type, name, dimension) type name dimension;

typedef struct TbHeader {
    TB_HEADER_FIELDS(TB_HEADER_DECLARE)
} TbHeader;

#endif
