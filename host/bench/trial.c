// SPDX-License-Identifier: MIT
// Guarded buffers around a plan: guard | payload | guard, poison before every run, and an
// inspection afterwards that finds writes past the end and modified inputs.
#include "bench/trial.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t round_up(size_t value, size_t to)
{
    return (value + to - 1) / to * to;
}

static int bind_count(const struct vkz_trial *trial)
{
    return vkz_plan_bind_count(trial->plan);
}

// The tail guard starts right after the last element, rounded to a word: a store past the
// end lands in it even when the descriptor range is padded.
static size_t payload_bytes(const struct vkz_trial *trial, int bind)
{
    return round_up(vkz_plan_buffer_bytes(trial->plan, bind), 4);
}

static size_t guard_bytes(const struct vkz_trial *trial)
{
    const size_t align = (size_t)vkz_gpu_get_info(trial->gpu)->offset_alignment;
    return round_up(VKZ_GUARD_BYTES, align ? align : 1);
}

int vkz_trial_bind(const struct vkz_trial *trial, const char *tensor)
{
    for (int i = 0; i < bind_count(trial); i++) {
        if (strcmp(trial->kernel->binds[i].name, tensor) == 0)
            return vkz_plan_buffer_bytes(trial->plan, i) ? i : -1;
    }
    return -1;
}

static const struct vkz_array *input_of(const struct vkz_trial *trial, int bind)
{
    const struct vkz_bind *b = &trial->kernel->binds[bind];
    if (b->io != VKZ_IN && b->io != VKZ_INOUT)
        return NULL;
    return vkz_data_find(trial->data, b->name);
}

enum vkz_status vkz_trial_reset(struct vkz_trial *trial, int set, uint32_t poison,
                                struct vkz_error *err)
{
    const size_t guard = guard_bytes(trial);
    for (int i = 0; i < bind_count(trial); i++) {
        struct vkz_buffer *buffer = &trial->sets[set].buffers[i];
        if (!buffer->bytes)
            continue;
        const size_t payload = payload_bytes(trial, i);
        const struct vkz_array *input = input_of(trial, i);
        enum vkz_status status =
            vkz_buffer_fill(trial->gpu, buffer, 0, guard, VKZ_GUARD_WORD, err);
        if (status == VKZ_OK)
            status = vkz_buffer_fill(trial->gpu, buffer, guard + payload,
                                     buffer->bytes - guard - payload, VKZ_GUARD_WORD, err);
        if (status == VKZ_OK && (!input || payload != vkz_plan_buffer_bytes(trial->plan, i)))
            status = vkz_buffer_fill(trial->gpu, buffer, guard, payload, poison, err);
        if (status == VKZ_OK && input)
            status = vkz_buffer_write(trial->gpu, buffer, guard, input->storage,
                                      vkz_plan_buffer_bytes(trial->plan, i), err);
        if (status != VKZ_OK)
            return status;
    }
    return VKZ_OK;
}

static enum vkz_status set_create(struct vkz_trial *trial, int index, struct vkz_error *err)
{
    struct vkz_set *set = &trial->sets[index];
    const size_t guard = guard_bytes(trial);
    VkDescriptorBufferInfo infos[VKZ_MAX_BINDS] = {0};
    for (int i = 0; i < bind_count(trial); i++) {
        if (!vkz_plan_buffer_bytes(trial->plan, i))
            continue;
        const size_t payload = payload_bytes(trial, i);
        enum vkz_status status = vkz_buffer_create(trial->gpu, VKZ_BUFFER_DEVICE,
                                                   2 * guard + payload, &set->buffers[i], err);
        if (status != VKZ_OK)
            return status;
        // The kernel may see the guard behind its tensor: drivers that check bounds would
        // else drop a store past the end, and it would go unnoticed until another driver.
        const uint64_t most = vkz_gpu_get_info(trial->gpu)->max_storage_range;
        const size_t range = payload + guard <= most ? payload + guard : payload;
        infos[i] = (VkDescriptorBufferInfo){set->buffers[i].handle, guard, range};
    }
    enum vkz_status status = vkz_trial_reset(trial, index, VKZ_POISON_WORD, err);
    if (status != VKZ_OK)
        return status;
    return vkz_binding_create(trial->plan, infos, &set->binding, err);
}

static void set_finish(struct vkz_trial *trial, struct vkz_set *set)
{
    vkz_binding_destroy(&set->binding);
    for (int i = 0; i < VKZ_MAX_BINDS; i++)
        vkz_buffer_destroy(trial->gpu, &set->buffers[i]);
}

enum vkz_status vkz_trial_grow(struct vkz_trial *trial, int count, struct vkz_error *err)
{
    if (count <= trial->set_count)
        return VKZ_OK;
    struct vkz_set *sets = realloc(trial->sets, (size_t)count * sizeof *sets);
    if (!sets)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory for %d buffer sets", count);
    trial->sets = sets;
    while (trial->set_count < count) {
        memset(&trial->sets[trial->set_count], 0, sizeof *sets);
        enum vkz_status status = set_create(trial, trial->set_count, err);
        if (status != VKZ_OK) {
            set_finish(trial, &trial->sets[trial->set_count]);
            return status;
        }
        trial->set_count++;
    }
    return VKZ_OK;
}

enum vkz_status vkz_trial_create(const struct vkz_trial_params *params,
                                 struct vkz_trial **out, struct vkz_error *err)
{
    struct vkz_trial *trial = calloc(1, sizeof *trial);
    *out = NULL;
    if (!trial)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    trial->gpu = params->gpu;
    trial->c = params->c;
    trial->kernel = params->kernel;
    trial->variant = params->variant;
    trial->data = params->data;
    enum vkz_status status = vkz_plan_create(params->gpu,
                                             &(struct vkz_plan_params){
                                                 .kernel = params->kernel,
                                                 .variant = params->variant->name,
                                                 .env = &params->c->env,
                                                 .tuning = params->tuning,
                                                 .coopmat_index = params->coopmat_index,
                                                 .statistics = params->statistics,
                                             },
                                             &trial->plan, err);
    if (status != VKZ_OK)
        goto fail;
    assert(bind_count(trial) <= VKZ_MAX_BINDS);
    for (int i = 0; i < bind_count(trial); i++)
        trial->set_bytes += vkz_plan_buffer_bytes(trial->plan, i);
    status = vkz_trial_grow(trial, 1, err);
    if (status != VKZ_OK)
        goto fail;
    *out = trial;
    return VKZ_OK;
fail:
    vkz_trial_destroy(&trial);
    return status;
}

void vkz_trial_destroy(struct vkz_trial **trial)
{
    if (!*trial)
        return;
    for (int i = 0; i < (*trial)->set_count; i++)
        set_finish(*trial, &(*trial)->sets[i]);
    free((*trial)->sets);
    vkz_plan_destroy(&(*trial)->plan);
    free(*trial);
    *trial = NULL;
}

enum vkz_status vkz_trial_run(struct vkz_trial *trial, int set, struct vkz_batch *batch,
                              struct vkz_error *err)
{
    enum vkz_status status = vkz_batch_begin(batch, err);
    if (status != VKZ_OK)
        return status;
    vkz_batch_barrier(batch);
    vkz_record(trial->plan, trial->sets[set].binding, vkz_batch_command_buffer(batch));
    vkz_batch_barrier(batch);
    return vkz_batch_run(batch, 0, err);
}

enum vkz_status vkz_trial_read(struct vkz_trial *trial, int set, int bind, void *out,
                               struct vkz_error *err)
{
    return vkz_buffer_read(trial->gpu, &trial->sets[set].buffers[bind], guard_bytes(trial),
                           out, vkz_plan_buffer_bytes(trial->plan, bind), err);
}

// Byte offset of the first word that differs from the guard word, or -1.
static int64_t guard_damage(const uint8_t *bytes, size_t count)
{
    const uint32_t word = VKZ_GUARD_WORD;
    for (size_t i = 0; i + 4 <= count; i += 4) {
        if (memcmp(bytes + i, &word, 4) != 0)
            return (int64_t)i;
    }
    return -1;
}

static void inspect_buffer(const struct vkz_trial *trial, int bind, const uint8_t *bytes,
                           char found[256])
{
    const struct vkz_bind *b = &trial->kernel->binds[bind];
    const size_t guard = guard_bytes(trial);
    const size_t payload = payload_bytes(trial, bind);
    const size_t exact = vkz_plan_buffer_bytes(trial->plan, bind);
    const int64_t before = guard_damage(bytes, guard);
    const int64_t after = guard_damage(bytes + guard + payload,
                                       trial->sets[0].buffers[bind].bytes - guard - payload);
    if (before >= 0)
        snprintf(found, 256, "wrote %lld bytes before the start of %s",
                 (long long)((int64_t)guard - before), b->name);
    else if (after >= 0)
        snprintf(found, 256, "wrote %lld bytes past the end of %s", (long long)after + 4,
                 b->name);
    const struct vkz_array *input = b->io == VKZ_IN ? input_of(trial, bind) : NULL;
    if (!found[0] && input && memcmp(bytes + guard, input->storage, exact) != 0)
        snprintf(found, 256, "changed its input %s", b->name);
}

enum vkz_status vkz_trial_inspect(struct vkz_trial *trial, int set, char found[256],
                                  struct vkz_error *err)
{
    found[0] = '\0';
    for (int i = 0; i < bind_count(trial) && !found[0]; i++) {
        struct vkz_buffer *buffer = &trial->sets[set].buffers[i];
        if (!buffer->bytes)
            continue;
        uint8_t *bytes = malloc(buffer->bytes);
        if (!bytes)
            return vkz_error_set(err, VKZ_FAILED, "out of host memory reading %s back",
                                 trial->kernel->binds[i].name);
        enum vkz_status status =
            vkz_buffer_read(trial->gpu, buffer, 0, bytes, buffer->bytes, err);
        if (status == VKZ_OK)
            inspect_buffer(trial, i, bytes, found);
        free(bytes);
        if (status != VKZ_OK)
            return status;
    }
    return VKZ_OK;
}
