/* Integer kernels, in the manner of CoreMark (lists, matrices, a state machine, CRC) and a few more
 * (sieve, sort, division, an indirect-jump loop). Freestanding: the same file is in the Linux program
 * and in the bare-metal image. */
#include "bench.h"

enum { NODES = 512 };

struct node {
    struct node *next;
    int32_t key;
    int32_t value;
};

static struct node *merge(struct node *a, struct node *b)
{
    struct node head, *tail = &head;
    while (a && b) {
        struct node **least = a->key <= b->key ? &a : &b;
        tail->next = *least;
        tail = *least;
        *least = (*least)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *merge_sort(struct node *list)
{
    struct node *slow = list, *fast, *half;
    if (!list || !list->next)
        return list;
    for (fast = list->next; fast && fast->next; fast = fast->next->next)
        slow = slow->next;
    half = slow->next;
    slow->next = NULL;
    return merge(merge_sort(list), merge_sort(half));
}

static uint64_t list_walk(uint64_t rounds)
{
    static struct node nodes[NODES];
    uint64_t seed = 1, sum = 0;
    while (rounds--) {
        struct node *list = NULL, *reversed = NULL;
        for (int i = 0; i < NODES; i++) {
            nodes[i].key = (int32_t)(next_random(&seed) >> 40);
            nodes[i].value = i;
            nodes[i].next = list;
            list = &nodes[i];
        }
        list = merge_sort(list);
        while (list) {
            struct node *next = list->next;
            list->next = reversed;
            reversed = list;
            list = next;
        }
        for (int find = 0; find < 16; find++) {
            struct node *at = reversed;
            while (at && at->value != find * 31)
                at = at->next;
            sum = fold(sum, at ? (uint64_t)at->key : 0);
        }
    }
    return sum;
}

enum { SIDE = 32 };

static uint64_t matrix(uint64_t rounds)
{
    static int16_t a[SIDE][SIDE], b[SIDE][SIDE];
    static int32_t c[SIDE][SIDE];
    uint64_t seed = 2, sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (int16_t)next_random(&seed);
            b[i][j] = (int16_t)next_random(&seed);
        }
    while (rounds--) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                uint32_t dot = 0;
                for (int k = 0; k < SIDE; k++)
                    dot += (uint32_t)(a[i][k] * b[k][j]);
                c[i][j] = (int32_t)dot;
            }
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                sum = fold(sum, (uint64_t)((c[i][j] >> 2 & 15) * (c[i][j] >> 5 & 127)));
                a[i][j] = (int16_t)(a[i][j] + c[j][i]);
            }
    }
    return sum;
}

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, POWER, INVALID, STATES };

static enum state step(enum state state, char c)
{
    int digit = c >= '0' && c <= '9';
    switch (state) {
    case START:
        return digit ? DIGITS : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
    case SIGN:
        return digit ? DIGITS : c == '.' ? POINT : INVALID;
    case DIGITS:
        return digit ? DIGITS : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case POINT:
    case FRACTION:
        return digit ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT:
        return digit || c == '-' || c == '+' ? POWER : INVALID;
    case POWER:
        return digit ? POWER : INVALID;
    default:
        return INVALID;
    }
}

static uint64_t state_machine(uint64_t rounds)
{
    static char text[2048];
    static const char letters[] = "0123456789012345678901234+-.e,,,x";
    uint64_t seed = 3, sum = 0;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = letters[next_random(&seed) % (sizeof letters - 1)];
    while (rounds--) {
        uint32_t ended[STATES] = { 0 };
        enum state state = START;
        for (size_t i = 0; i < sizeof text; i++) {
            if (text[i] == ',') {
                ended[state]++;
                state = START;
            } else {
                state = step(state, text[i]);
            }
        }
        for (int i = 0; i < STATES; i++)
            sum = fold(sum, ended[i]);
        text[next_random(&seed) % sizeof text] = letters[next_random(&seed) % 33];
    }
    return sum;
}

/* Bit by bit, as CoreMark does it: shifts, masks and branches. */
static uint64_t crc(uint64_t rounds)
{
    uint16_t crc = 0xffff;
    uint64_t seed = 4, sum = 0;
    while (rounds--) {
        for (int i = 0; i < 64; i++) {
            uint8_t byte = (uint8_t)(next_random(&seed) >> 56);
            for (int bit = 0; bit < 8; bit++, byte >>= 1) {
                int carry = (crc ^ byte) & 1;
                crc >>= 1;
                if (carry)
                    crc ^= 0xa001;
            }
        }
        sum = fold(sum, crc);
    }
    return sum;
}

static uint64_t sieve(uint64_t rounds)
{
    static uint8_t composite[8192];
    uint64_t sum = 0;
    while (rounds--) {
        uint32_t primes = 0;
        for (uint32_t i = 0; i < sizeof composite; i++)
            composite[i] = 0;
        for (uint32_t i = 2; i < sizeof composite; i++) {
            if (composite[i])
                continue;
            primes++;
            for (uint32_t j = 2 * i; j < sizeof composite; j += i)
                composite[j] = 1;
        }
        sum = fold(sum, primes);
    }
    return sum;
}

static void quick_sort(uint64_t *low, uint64_t *high)
{
    while (low < high) {
        uint64_t pivot = low[(high - low) / 2], *i = low, *j = high;
        do {
            while (*i < pivot)
                i++;
            while (*j > pivot)
                j--;
            if (i <= j) {
                uint64_t t = *i;
                *i++ = *j;
                *j-- = t;
            }
        } while (i <= j);
        if (low < j)
            quick_sort(low, j);
        low = i;
    }
}

static uint64_t quicksort(uint64_t rounds)
{
    static uint64_t numbers[1024];
    uint64_t seed = 5, sum = 0;
    while (rounds--) {
        for (int i = 0; i < 1024; i++)
            numbers[i] = next_random(&seed);
        quick_sort(numbers, numbers + 1023);
        for (int i = 0; i < 1024; i += 64)
            sum = fold(sum, numbers[i]);
    }
    return sum;
}

static uint64_t divide(uint64_t rounds)
{
    uint64_t seed = 6, sum = 0;
    while (rounds--) {
        uint64_t a = next_random(&seed), b = next_random(&seed) | 1;
        while (b) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        sum = fold(sum, a);
    }
    return sum;
}

/* A small machine of eight instructions: one hard to foresee indirect jump for each. */
static uint64_t dispatch(uint64_t rounds)
{
    static uint8_t program[1024];
    uint64_t seed = 7, x = 1, y = 2, sum = 0;
    for (size_t i = 0; i < sizeof program; i++)
        program[i] = (uint8_t)(next_random(&seed) >> 61);
    while (rounds--) {
        for (size_t pc = 0; pc < sizeof program; pc++) {
            switch (program[pc]) {
            case 0: x += y; break;
            case 1: y ^= x >> 3; break;
            case 2: x *= 5; break;
            case 3: y -= 0x9e3779b9; break;
            case 4: x = x << 7 | x >> 57; break;
            case 5: y += x & 0xff; break;
            case 6: if (x & 1) y++; else x--; break;
            default: x ^= y; break;
            }
        }
        sum = fold(sum, x);
    }
    return sum;
}

const struct kernel integer_kernels[] = {
    { "list", list_walk }, { "matrix", matrix }, { "state", state_machine },
    { "crc", crc },        { "sieve", sieve },   { "quicksort", quicksort },
    { "divide", divide },  { "dispatch", dispatch },
    { NULL, NULL },
};
