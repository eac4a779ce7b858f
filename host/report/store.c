// SPDX-License-Identifier: MIT
// Blocks that grow by one at a time, and an open hash table of texts. See report/store.h.
#include "report/store.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 18, ALIGNMENT = 8, FIRST_SLOTS = 1024 };

struct block {
    struct block *next;
    size_t used, size;
    unsigned char bytes[];
};

struct vkz_store {
    struct block *blocks; // the one being filled first
    const char **texts;   // slots; a power of two, at most half of them taken
    size_t slots, text_count;
};

struct vkz_store *vkz_store_create(void)
{
    struct vkz_store *store = calloc(1, sizeof *store);
    if (store) {
        store->slots = FIRST_SLOTS;
        store->texts = calloc(store->slots, sizeof *store->texts);
    }
    if (store && !store->texts)
        vkz_store_destroy(&store);
    return store;
}

void vkz_store_destroy(struct vkz_store **store)
{
    if (!*store)
        return;
    for (struct block *b = (*store)->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free((*store)->texts);
    free(*store);
    *store = NULL;
}

void *vkz_store_take(struct vkz_store *store, size_t size)
{
    struct block *b = store->blocks;
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!b || b->size - b->used < size) {
        const size_t bytes = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        b = malloc(sizeof *b + bytes);
        if (!b)
            return NULL;
        *b = (struct block){.next = store->blocks, .size = bytes};
        store->blocks = b;
    }
    void *at = b->bytes + b->used;
    b->used += size;
    return at;
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static size_t slot_of(const struct vkz_store *store, const char *text)
{
    size_t at = (size_t)hash_of(text) & (store->slots - 1);
    while (store->texts[at] && strcmp(store->texts[at], text) != 0)
        at = (at + 1) & (store->slots - 1);
    return at;
}

static int grow_table(struct vkz_store *store)
{
    const struct vkz_store old = *store;
    store->slots *= 2;
    store->texts = calloc(store->slots, sizeof *store->texts);
    if (!store->texts) {
        *store = old;
        return 0;
    }
    for (size_t i = 0; i < old.slots; i++) {
        if (old.texts[i])
            store->texts[slot_of(store, old.texts[i])] = old.texts[i];
    }
    free(old.texts);
    return 1;
}

const char *vkz_store_text(struct vkz_store *store, const char *text)
{
    if (!text[0])
        return "";
    size_t at = slot_of(store, text);
    if (store->texts[at])
        return store->texts[at];
    if (2 * (store->text_count + 1) > store->slots) {
        if (!grow_table(store))
            return NULL;
        at = slot_of(store, text);
    }
    const size_t size = strlen(text) + 1;
    char *copy = vkz_store_take(store, size);
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    store->texts[at] = copy;
    store->text_count++;
    return copy;
}
