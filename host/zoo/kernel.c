// SPDX-License-Identifier: MIT
// Looking things up in the kernel tables: names, variants, storage types.
// See vkzoo/kernel.h.
#include "vkzoo/kernel.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [VKZ_TYPE_NONE] = {"none", 0}, [VKZ_F32] = {"f32", 4}, [VKZ_F16] = {"f16", 2},
    [VKZ_BF16] = {"bf16", 2},      [VKZ_I32] = {"i32", 4}, [VKZ_U32] = {"u32", 4},
    [VKZ_I8] = {"i8", 1},          [VKZ_U8] = {"u8", 1},
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

const struct vkz_kernel *vkz_kernel_find(const char *name)
{
    for (int i = 0; vkz_kernels[i]; i++) {
        if (strcmp(vkz_kernels[i]->name, name) == 0)
            return vkz_kernels[i];
    }
    return NULL;
}

const struct vkz_variant *vkz_variant_find(const struct vkz_kernel *kernel,
                                           const char *name)
{
    for (const struct vkz_variant *v = kernel->variants; v && v->name; v++) {
        if (strcmp(v->name, name) == 0)
            return v;
    }
    return NULL;
}

static enum vkz_type type_parse(const char *name, size_t size)
{
    for (int i = VKZ_TYPE_NONE + 1; i < TYPE_COUNT; i++) {
        if (strlen(types[i].name) == size && memcmp(types[i].name, name, size) == 0)
            return (enum vkz_type)i;
    }
    return VKZ_TYPE_NONE;
}

enum vkz_type vkz_variant_type(const struct vkz_variant *variant, const char *type)
{
    const size_t size = strlen(type);
    // "T=f16 W=i8"
    for (const char *at = variant && variant->types ? variant->types : ""; *at;) {
        const size_t word = strcspn(at, " ");
        if (word > size && memcmp(at, type, size) == 0 && at[size] == '=')
            return type_parse(at + size + 1, word - size - 1);
        at += word;
        at += strspn(at, " ");
    }
    return type_parse(type, size);
}

size_t vkz_type_size(enum vkz_type type)
{
    return (unsigned)type < TYPE_COUNT ? types[type].size : 0;
}

bool vkz_variant_same_numbers(const struct vkz_variant *a, const struct vkz_variant *b)
{
    return strcmp(a->types, b->types) == 0 && strcmp(a->accumulate, b->accumulate) == 0;
}

bool vkz_type_is_float(enum vkz_type type)
{
    return type == VKZ_F32 || type == VKZ_F16 || type == VKZ_BF16;
}

const char *vkz_type_name(enum vkz_type type)
{
    return (unsigned)type < TYPE_COUNT ? types[type].name : "none";
}

enum vkz_type vkz_type_parse(const char *name) { return type_parse(name, strlen(name)); }
