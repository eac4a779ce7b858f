// SPDX-License-Identifier: MIT
// Looking things up in the contracts: ops by name, axis values by name and number.
// See zoo/op.h.
#include "zoo/op.h"

#include <string.h>

static const struct vkz_op *find(const struct vkz_op *const *ops, const char *name)
{
    for (; *ops; ops++) {
        if (strcmp((*ops)->name, name) == 0)
            return *ops;
    }
    return NULL;
}

const struct vkz_op *vkz_op_find(const char *name) { return find(vkz_ops, name); }

const struct vkz_op *vkz_op_find_naive(const char *name)
{
    return find(vkz_ops_naive, name);
}

// The word number `index` of a list separated by spaces and its length; NULL if none.
static const char *word_at(const char *words, int index, size_t *size)
{
    if (index < 0)
        return NULL;
    for (const char *at = words + strspn(words, " ");; index--) {
        *size = strcspn(at, " ");
        if (*size == 0)
            return NULL;
        if (index == 0)
            return at;
        at += *size;
        at += strspn(at, " ");
    }
}

int vkz_axis_value(const struct vkz_axis *axis, const char *value)
{
    size_t size;
    const char *word;
    for (int i = 0; (word = word_at(axis->values, i, &size)); i++) {
        if (strlen(value) == size && memcmp(word, value, size) == 0)
            return i;
    }
    return -1;
}

bool vkz_axis_name(const struct vkz_axis *axis, int index, char out[64])
{
    size_t size;
    const char *word = word_at(axis->values, index, &size);
    if (!word || size >= 64)
        return false;
    memcpy(out, word, size);
    out[size] = '\0';
    return true;
}
