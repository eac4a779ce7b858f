// SPDX-License-Identifier: MIT
// Copies a kernel's tables and swaps one module's words.
#include "bench/override.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VARIANTS = 16, MAX_PASSES = 8 };

struct vkz_override {
    const struct vkz_kernel *original;
    struct vkz_kernel kernel;
    struct vkz_variant variants[MAX_VARIANTS + 1];
    struct vkz_module modules[MAX_PASSES];
    uint32_t *words;
};

static uint32_t *read_words(const char *path, size_t *count, struct vkz_error *err)
{
    FILE *f = fopen(path, "rb");
    uint32_t *words = NULL;
    long size = -1;
    if (f && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (f)
        rewind(f);
    if (size >= 20 && size % 4 == 0)
        words = malloc((size_t)size);
    if (!words || fread(words, 1, (size_t)size, f) != (size_t)size || words[0] != 0x07230203u) {
        vkz_error_set(err, VKZ_BAD_INPUT, "%s: %s", path,
                      f ? "is not SPIR-V of this machine's byte order" : strerror(errno));
        free(words);
        words = NULL;
    }
    if (f)
        fclose(f);
    *count = words ? (size_t)size / 4 : 0;
    return words;
}

static int pass_index(const struct vkz_kernel *kernel, const char *name, int *count)
{
    int found = -1;
    *count = 0;
    for (; kernel->passes[*count].name; ++*count) {
        if (name && strcmp(kernel->passes[*count].name, name) == 0)
            found = *count;
    }
    return name ? found : *count == 1 ? 0 : -1;
}

static enum vkz_status override_fill(struct vkz_override *o, const char *kernel_name,
                                     const char *variant_name, const char *pass_name,
                                     const char *path, struct vkz_error *err)
{
    const struct vkz_kernel *kernel = vkz_kernel_find(kernel_name);
    const struct vkz_variant *variant =
        kernel ? vkz_variant_find(kernel, variant_name) : NULL;
    int passes = 0, variants = 0;
    if (!variant)
        return vkz_error_set(err, VKZ_BAD_INPUT, "--spirv: there is no %s.%s; `vkzoo list` "
                             "shows kernels and variants", kernel_name, variant_name);
    const int pass = pass_index(kernel, pass_name, &passes);
    if (pass < 0 || passes > MAX_PASSES)
        return vkz_error_set(err, VKZ_BAD_INPUT, "--spirv: name one pass of %s, as in "
                             "%s.%s.%s=FILE", kernel_name, kernel_name, variant_name,
                             kernel->passes[0].name);
    for (; kernel->variants[variants].name && variants < MAX_VARIANTS; variants++)
        o->variants[variants] = kernel->variants[variants];
    memcpy(o->modules, variant->modules, (size_t)passes * sizeof *o->modules);
    o->variants[variant - kernel->variants].modules = o->modules;
    o->words = read_words(path, &o->modules[pass].word_count, err);
    if (!o->words)
        return VKZ_BAD_INPUT;
    o->modules[pass].words = o->words;
    o->modules[pass].sha256 = "overridden";
    o->original = kernel;
    o->kernel = *kernel;
    o->kernel.variants = o->variants;
    return VKZ_OK;
}

enum vkz_status vkz_override_create(const char *text, struct vkz_override **out,
                                    struct vkz_error *err)
{
    char name[256];
    const char *equals = strchr(text, '=');
    *out = NULL;
    if (!equals || (size_t)(equals - text) >= sizeof name)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--spirv: expected KERNEL.VARIANT[.PASS]=FILE, not %s", text);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    char *variant = strchr(name, '.');
    char *pass = variant ? strchr(variant + 1, '.') : NULL;
    if (!variant)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--spirv: expected KERNEL.VARIANT[.PASS]=FILE, not %s", text);
    *variant++ = '\0';
    if (pass)
        *pass++ = '\0';
    struct vkz_override *o = calloc(1, sizeof *o);
    if (!o)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    enum vkz_status status = override_fill(o, name, variant, pass, equals + 1, err);
    if (status != VKZ_OK)
        vkz_override_destroy(&o);
    *out = o;
    return status;
}

void vkz_override_destroy(struct vkz_override **override)
{
    if (!*override)
        return;
    free((*override)->words);
    free(*override);
    *override = NULL;
}

const struct vkz_kernel *vkz_override_apply(const struct vkz_override *override,
                                            const struct vkz_kernel *kernel)
{
    return override && override->original == kernel ? &override->kernel : kernel;
}
