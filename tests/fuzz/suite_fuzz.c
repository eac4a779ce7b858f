// SPDX-License-Identifier: MIT
// Fuzzes the suite parser: no bytes may crash it, and what it accepts must read back.
// Built with -fsanitize=fuzzer it is a libFuzzer target. With VKZ_FUZZ_MAIN it brings its
// own small mutator, so that any compiler runs a bounded number of tries: suite_fuzz
// [TRIES].
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vkz_suite suite;
    struct vkz_error err = {VKZ_OK, ""};
    const enum vkz_status status =
        vkz_suite_parse("fuzz", (const char *)data, size, 1, &suite, &err);
    if (status != VKZ_OK) {
        if (err.status != status || strncmp(err.message, "fuzz:", 5) != 0)
            abort(); // every error has its place
        return 0;
    }
    for (int i = 0; i < suite.op_count; i++) {
        for (int j = 0; j < suite.ops[i].case_count && j < 100; j++) {
            const struct vkz_case *c = &suite.ops[i].cases[j];
            struct vkz_case back;
            if (vkz_case_parse_id(c->id, 1, &back, NULL) != VKZ_OK ||
                strcmp(back.id, c->id) != 0)
                abort();
        }
    }
    vkz_suite_finish(&suite);
    return 0;
}

#ifdef VKZ_FUZZ_MAIN
static const char *const seeds[] = {
    "op dot\nkernel dot_split\ncase smoke,quick m=1 n=2 k=3\n",
    "op dot\ncase check m:n:k=1:2:7,16:17:63 BIAS=none,row,column MODE=plain,relu\n",
    "op dot # c\n\ncase smoke m=2*3 k=8 alpha=1/sqrt(k) shift=(1>2?3:-4e-3)\n",
    "op dot\ncase apps m=4 k=4 fill.x=uniform(-1,1),heavy fill.w=range(0,k-1)\n",
    "op dot\ncase smoke m=1,2,3,4,5,6,7,8,9 n=1,2,3,4,5 k=ceildiv(7,2) alpha=min(1,n)\n",
};
enum { SEEDS = sizeof seeds / sizeof seeds[0], LARGEST = 512 };

static uint64_t next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u; // splitmix64
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static const char *const words[] = {"op ", "case ", "kernel ", "m=", ":",       ",",
                                    "(",   ")",     "=",       "\n", "fill.x=", "#",
                                    "e9",  "0",     "-",       "?",  "MODE",    " "};

// One random change: a byte, a word put in, a stretch cut out or doubled.
static size_t mutate(uint64_t *state, char *text, size_t size)
{
    const size_t at = next(state) % (size + 1), left = size - at;
    const size_t length = left ? next(state) % left % 16 : 0;
    const char *word = words[next(state) % (sizeof words / sizeof words[0])];
    const size_t word_size = strlen(word);
    switch (next(state) % 4) {
    case 0:
        if (left)
            text[at] = (char)next(state);
        return size;
    case 1:
        if (size + word_size > LARGEST)
            return size;
        memmove(text + at + word_size, text + at, left);
        memcpy(text + at, word, word_size);
        return size + word_size;
    case 2:
        memmove(text + at, text + at + length, left - length);
        return size - length;
    default:
        if (size + length > LARGEST)
            return size;
        memmove(text + at + length, text + at, left);
        return size + length;
    }
}

int main(int argc, char **argv)
{
    const long tries = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    uint64_t state = 1;
    for (long i = 0; i < tries; i++) {
        char text[LARGEST + 16];
        const char *seed = seeds[i % SEEDS];
        size_t size = strlen(seed);
        memcpy(text, seed, size);
        for (uint64_t n = next(&state) % 8; n > 0; n--)
            size = mutate(&state, text, size);
        // On the heap, and of the exact size, so that sanitizers see a byte too many.
        uint8_t *exact = malloc(size ? size : 1);
        assert(exact);
        memcpy(exact, text, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%ld tries\n", tries);
    return 0;
}
#endif
