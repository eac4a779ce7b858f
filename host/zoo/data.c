// SPDX-License-Identifier: MIT
// A case's tensors on the host: allocation, fills, rounding to the storage type.
// See zoo/data.h.
#include "zoo/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/fill.h"
#include "zoo/gradient.h"

// Large enough to share out, small enough that every thread gets some.
enum { ROUND_CHUNK = 1 << 16 };

static void round_float(struct vkz_array *array, int64_t first, int64_t end)
{
    float *wide = array->wide;
    uint16_t *halves = array->storage;
    switch (array->type) {
    case VKZ_F16:
        for (int64_t i = first; i < end; i++) {
            halves[i] = vkz_f16_from_f32(wide[i]);
            wide[i] = vkz_f32_from_f16(halves[i]);
        }
        break;
    case VKZ_BF16:
        for (int64_t i = first; i < end; i++) {
            halves[i] = vkz_bf16_from_f32(wide[i]);
            wide[i] = vkz_f32_from_bf16(halves[i]);
        }
        break;
    default:
        memcpy((float *)array->storage + first, wide + first,
               (size_t)(end - first) * sizeof *wide);
    }
}

static int32_t clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

static void round_int(struct vkz_array *array, int64_t first, int64_t end)
{
    int32_t *wide = array->wide;
    switch (array->type) {
    case VKZ_I8:
        for (int64_t i = first; i < end; i++) {
            wide[i] = clamp(wide[i], INT8_MIN, INT8_MAX);
            ((int8_t *)array->storage)[i] = (int8_t)wide[i];
        }
        break;
    case VKZ_U8:
        for (int64_t i = first; i < end; i++) {
            wide[i] = clamp(wide[i], 0, UINT8_MAX);
            ((uint8_t *)array->storage)[i] = (uint8_t)wide[i];
        }
        break;
    default: // u32 keeps the bits
        memcpy((int32_t *)array->storage + first, wide + first,
               (size_t)(end - first) * sizeof *wide);
    }
}

static void round_range(struct vkz_array *array, int64_t first, int64_t end)
{
    if (array->type == VKZ_F32 || array->type == VKZ_F16 || array->type == VKZ_BF16)
        round_float(array, first, end);
    else
        round_int(array, first, end);
}

static void round_chunk(void *context, int64_t i)
{
    struct vkz_array *array = context;
    const int64_t first = i * ROUND_CHUNK;
    const int64_t rest = array->count - first;
    round_range(array, first, first + (rest < ROUND_CHUNK ? rest : ROUND_CHUNK));
}

static void round_parallel(struct vkz_array *array, int threads)
{
    vkz_parallel_for((array->count + ROUND_CHUNK - 1) / ROUND_CHUNK, threads, round_chunk,
                     array);
}

void vkz_array_round(struct vkz_array *array)
{
    if (array->storage && array->wide)
        round_range(array, 0, array->count);
}

static enum vkz_status fill_input(const struct vkz_case *c, struct vkz_array *array,
                                  int threads, struct vkz_error *err)
{
    const size_t count = (size_t)array->count;
    // Rounded up: copies to the device are in whole words.
    const size_t bytes = (count * vkz_type_size(array->type) + 15) / 16 * 16;
    array->storage = calloc(bytes ? bytes : 16, 1);
    array->wide = malloc(count ? count * sizeof(float) : 1);
    if (!array->storage || !array->wide)
        return vkz_error_set(err, VKZ_FAILED,
                             "%s: out of memory: tensor %s has %lld elements", c->id,
                             array->tensor->name, (long long)array->count);
    struct vkz_error inner = {VKZ_OK, ""};
    const enum vkz_status status =
        vkz_fill_array(c, array, vkz_case_fill(c, array->tensor), threads, &inner);
    if (status != VKZ_OK)
        return vkz_error_set(err, status, "%s: tensor %s: %s", c->id, array->tensor->name,
                             inner.message);
    round_parallel(array, threads);
    return VKZ_OK;
}

static enum vkz_status create_array(const struct vkz_case *c,
                                    const struct vkz_variant *variant,
                                    const struct vkz_tensor *tensor, int threads,
                                    struct vkz_array *array, struct vkz_error *err)
{
    array->tensor = tensor;
    array->type = vkz_variant_type(variant, tensor->type);
    if (array->type == VKZ_TYPE_NONE)
        return vkz_error_set(err, VKZ_FAILED,
                             "%s: tensor %s: variant %s gives no storage type to '%s'",
                             c->id, tensor->name, variant->name, tensor->type);
    const enum vkz_status status =
        vkz_case_tensor(c, tensor, array->extents, &array->dims, &array->count, err);
    if (status != VKZ_OK || tensor->io == VKZ_OUT || array->count == 0)
        return status;
    return fill_input(c, array, threads, err);
}

enum vkz_status vkz_data_create(const struct vkz_case *c,
                                const struct vkz_variant *variant, int threads,
                                struct vkz_data **out, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    struct vkz_data *data = calloc(1, sizeof *data);
    *out = NULL;
    if (!data)
        return vkz_error_set(err, VKZ_FAILED, "%s: out of memory", c->id);
    data->c = c;
    data->variant = variant;
    for (const struct vkz_tensor *t = c->op->tensors; t && t->name; t++) {
        if (data->array_count == VKZ_MAX_TENSORS) {
            status = vkz_error_set(err, VKZ_FAILED, "op %s has more than %d tensors",
                                   c->op->name, VKZ_MAX_TENSORS);
            goto fail;
        }
        status =
            create_array(c, variant, t, threads, &data->arrays[data->array_count++], err);
        if (status != VKZ_OK)
            goto fail;
    }
    status = vkz_forward_fill(data, threads, err);
    if (status != VKZ_OK)
        goto fail;
    *out = data;
    return VKZ_OK;

fail:
    vkz_data_destroy(&data);
    return status;
}

void vkz_data_destroy(struct vkz_data **data)
{
    if (!data || !*data)
        return;
    for (int i = 0; i < (*data)->array_count; i++) {
        free((*data)->arrays[i].storage);
        free((*data)->arrays[i].wide);
    }
    free(*data);
    *data = NULL;
}

struct vkz_array *vkz_data_find(struct vkz_data *data, const char *tensor)
{
    for (int i = 0; i < data->array_count; i++) {
        if (strcmp(data->arrays[i].tensor->name, tensor) == 0)
            return &data->arrays[i];
    }
    return NULL;
}
