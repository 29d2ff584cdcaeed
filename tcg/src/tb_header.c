/*
 * Offsets of the fields of TbHeader as the C compiler lays them out: as a table for the test, and
 * as text in the object file, which build.rs reads (so that it needs to run nothing of the host
 * that the code is compiled for).
 */
#include "tcg/wasm32.h"

#include <stddef.h>

#define OFFSET_NUMBER(type, name, dimension) (uint32_t)offsetof(TbHeader, name),

static const uint32_t offsets[] = {
    TB_HEADER_FIELDS(OFFSET_NUMBER)
    (uint32_t)sizeof(TbHeader),
};

/* Writes up to `max` offsets in declaration order, then the size; returns how many there are. */
uint32_t tcg_tb_header_offsets(uint32_t *out, uint32_t max)
{
    uint32_t count = sizeof(offsets) / sizeof(offsets[0]);
    for (uint32_t i = 0; i < count && i < max; i++) {
        out[i] = offsets[i];
    }
    return count;
}

#define DIGIT(value, unit) (char)('0' + (value) / (unit) % 10)
#define TEXT(name, value)                                                                         \
    {"@TB:", #name, {':', DIGIT(value, 1000), DIGIT(value, 100), DIGIT(value, 10),                \
                     DIGIT(value, 1), ';'}},
#define OFFSET_TEXT(type, name, dimension) TEXT(name, offsetof(TbHeader, name))

/* Read by build.rs. */
struct OffsetText {
    char tag[4];
    char name[16];
    char value[6];
};
extern const struct OffsetText tcg_tb_header_text[];
const struct OffsetText tcg_tb_header_text[] = {
    TB_HEADER_FIELDS(OFFSET_TEXT)
    TEXT(SIZE, sizeof(TbHeader))
};
