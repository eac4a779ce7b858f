// SPDX-License-Identifier: MIT
// One command buffer that is recorded, submitted and waited for, with timestamps in it.
// Waiting blocks in vkWaitForFences: a spinning host would disturb a CPU device.
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

// How long a batch that timed out may still take before its handles are given up.
static const uint64_t grace_ns = UINT64_C(2000000000);

struct stamp_value {
    uint64_t ticks;
    uint64_t available;
};

struct vkz_batch {
    struct vkz_gpu *gpu;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkQueryPool queries;
    VkFence fence;
    int max_stamps;
    int stamp_count; // one past the highest index stamped in this recording
    struct stamp_value *stamps;
    double host_ns;
};

enum vkz_status vkz_batch_create(struct vkz_gpu *gpu, int max_stamps,
                                 struct vkz_batch **out, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    *out = NULL;
    if (!gpu->owned)
        return vkz_error_set(
            err, VKZ_BAD_INPUT,
            "an adopted device submits through its owner: use vkz_record");
    struct vkz_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a command batch");
    batch->gpu = gpu;
    batch->max_stamps = max_stamps;
    batch->stamps = calloc((size_t)max_stamps + 1, sizeof *batch->stamps);
    if (!batch->stamps) {
        status =
            vkz_error_set(err, VKZ_FAILED, "out of memory for %d timestamps", max_stamps);
        goto fail;
    }
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
        .queueFamilyIndex = gpu->limits.queue_family,
    };
    VK(gpu->vk.vkCreateCommandPool(gpu->device, &pool, NULL, &batch->pool));
    const VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = batch->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VK(gpu->vk.vkAllocateCommandBuffers(gpu->device, &commands, &batch->commands));
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VK(gpu->vk.vkCreateFence(gpu->device, &fence, NULL, &batch->fence));
    if (max_stamps > 0 && gpu->info.timestamp_bits > 0) {
        const VkQueryPoolCreateInfo queries = {
            .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
            .queryType = VK_QUERY_TYPE_TIMESTAMP,
            .queryCount = (uint32_t)max_stamps,
        };
        VK(gpu->vk.vkCreateQueryPool(gpu->device, &queries, NULL, &batch->queries));
    }
    *out = batch;
    return VKZ_OK;
fail:
    vkz_batch_destroy(&batch);
    return status;
}

bool vkz_gpu_settled(struct vkz_gpu *gpu)
{
    if (gpu->hung && !gpu->given_up) {
        const VkResult result =
            gpu->vk.vkWaitForFences(gpu->device, 1, &gpu->hung, VK_TRUE, grace_ns);
        gpu->given_up = result == VK_TIMEOUT;
        gpu->hung = VK_NULL_HANDLE;
    }
    return !gpu->given_up;
}

void vkz_batch_destroy(struct vkz_batch **batch)
{
    if (!*batch)
        return;
    struct vkz_batch *own = *batch;
    struct vkz_gpu *gpu = own->gpu;
    const struct vkz_device_functions *vk = &gpu->vk;
    if (vkz_gpu_settled(gpu)) {
        if (own->queries)
            vk->vkDestroyQueryPool(gpu->device, own->queries, NULL);
        if (own->fence)
            vk->vkDestroyFence(gpu->device, own->fence, NULL);
        if (own->pool)
            vk->vkDestroyCommandPool(gpu->device, own->pool, NULL);
    }
    free(own->stamps);
    free(own);
    *batch = NULL;
}

enum vkz_status vkz_batch_begin(struct vkz_batch *batch, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    const struct vkz_gpu *gpu = batch->gpu;
    if (gpu->lost)
        return vkz_error_set(
            err, VKZ_DEVICE_LOST,
            "%s was lost by an earlier submission: create the device again",
            gpu->info.name);
    batch->stamp_count = 0;
    VK(gpu->vk.vkResetCommandPool(gpu->device, batch->pool, 0));
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VK(gpu->vk.vkBeginCommandBuffer(batch->commands, &info));
    if (batch->queries)
        gpu->vk.vkCmdResetQueryPool(batch->commands, batch->queries, 0,
                                    (uint32_t)batch->max_stamps);
fail:
    return status;
}

VkCommandBuffer vkz_batch_command_buffer(struct vkz_batch *batch)
{
    return batch->commands;
}

static void barrier(struct vkz_batch *batch, VkPipelineStageFlags from,
                    VkAccessFlags written, VkPipelineStageFlags to, VkAccessFlags used)
{
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = written,
        .dstAccessMask = used,
    };
    batch->gpu->vk.vkCmdPipelineBarrier(batch->commands, from, to, 0, 1, &memory, 0, NULL,
                                        0, NULL);
}

void vkz_batch_barrier(struct vkz_batch *batch)
{
    const VkPipelineStageFlags work =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    barrier(batch, work, VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
            work | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                VK_ACCESS_INDIRECT_COMMAND_READ_BIT);
}

void vkz_batch_stamp(struct vkz_batch *batch, int index)
{
    assert(index >= 0 && index < batch->max_stamps);
    if (!batch->queries)
        return;
    // Without this the stamp may be taken while earlier dispatches still run: a timestamp
    // orders itself only after the stage's earlier work, and not before later work.
    barrier(batch, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_WRITE_BIT,
            VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
            VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT);
    batch->gpu->vk.vkCmdWriteTimestamp(batch->commands,
                                       VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, batch->queries,
                                       (uint32_t)index);
    if (index >= batch->stamp_count)
        batch->stamp_count = index + 1;
}

void vkz_batch_copy(struct vkz_batch *batch, struct vkz_buffer *from,
                    struct vkz_buffer *to, size_t bytes)
{
    assert(bytes > 0 && bytes <= from->bytes && bytes <= to->bytes);
    const VkBufferCopy region = {.size = bytes};
    batch->gpu->vk.vkCmdCopyBuffer(batch->commands, from->handle, to->handle, 1, &region);
}

static enum vkz_status read_stamps(struct vkz_batch *batch, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    struct vkz_gpu *gpu = batch->gpu;
    memset(batch->stamps, 0, (size_t)batch->max_stamps * sizeof *batch->stamps);
    if (!batch->queries || !batch->stamp_count)
        return VKZ_OK;
    // Availability makes gaps in the numbering harmless: they come back as VK_NOT_READY.
    VK(gpu->vk.vkGetQueryPoolResults(
        gpu->device, batch->queries, 0, (uint32_t)batch->stamp_count,
        (size_t)batch->stamp_count * sizeof *batch->stamps, batch->stamps,
        sizeof *batch->stamps,
        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT));
fail:
    return status;
}

static enum vkz_status submit_and_wait(struct vkz_batch *batch, uint64_t timeout_ns,
                                       struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    struct vkz_gpu *gpu = batch->gpu;
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &batch->commands,
    };
    VK(gpu->vk.vkResetFences(gpu->device, 1, &batch->fence));
    const double start = vkz_host_ns();
    VK(gpu->vk.vkQueueSubmit(gpu->queue, 1, &info, batch->fence));
    const VkResult result =
        gpu->vk.vkWaitForFences(gpu->device, 1, &batch->fence, VK_TRUE, timeout_ns);
    batch->host_ns = vkz_host_ns() - start;
    if (result == VK_TIMEOUT) {
        gpu->lost = true;
        gpu->hung = batch->fence;
        return vkz_error_set(
            err, VKZ_DEVICE_LOST,
            "%s did not finish within %.3g s: the kernel hangs, or the case "
            "needs a longer timeout",
            gpu->info.name, (double)timeout_ns / 1e9);
    }
    VK(result); // a device that is lost has ended all its work
fail:
    return status;
}

enum vkz_status vkz_batch_run(struct vkz_batch *batch, uint64_t timeout_ns,
                              struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    struct vkz_gpu *gpu = batch->gpu;
    // A fence alone does not make device writes visible to mapped memory.
    barrier(batch, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    VK(gpu->vk.vkEndCommandBuffer(batch->commands));
    // A CPU driver compiles at the first dispatch, which can take it a minute.
    const uint64_t patience = batch->gpu->info.is_cpu ? UINT64_C(240000000000)
                                                      : UINT64_C(60000000000);
    status = submit_and_wait(batch, timeout_ns ? timeout_ns : patience, err);
    if (status == VKZ_OK)
        status = read_stamps(batch, err);
fail:
    if (status == VKZ_DEVICE_LOST)
        gpu->lost = true;
    return status;
}

double vkz_batch_host_ns(const struct vkz_batch *batch)
{
    return batch->host_ns;
}

double vkz_ticks_ns(const struct vkz_gpu *gpu, uint64_t from, uint64_t to)
{
    const struct vkz_gpu_info *info = &gpu->info;
    const uint64_t mask = info->timestamp_bits >= 64
                              ? UINT64_MAX
                              : (UINT64_C(1) << info->timestamp_bits) - 1;
    // More than half the range is a step back, not a wait of years.
    if (((to - from) & mask) > mask / 2)
        return -(double)((from - to) & mask) * info->timestamp_period_ns;
    return (double)((to - from) & mask) * info->timestamp_period_ns;
}

double vkz_batch_elapsed_ns(const struct vkz_batch *batch, int first, int second)
{
    assert(first >= 0 && first < batch->max_stamps);
    assert(second >= 0 && second < batch->max_stamps);
    const struct stamp_value *from = &batch->stamps[first], *to = &batch->stamps[second];
    if (!from->available || !to->available)
        return NAN;
    return vkz_ticks_ns(batch->gpu, from->ticks, to->ticks);
}

uint64_t vkz_batch_ticks(const struct vkz_batch *batch, int index)
{
    return batch->stamps[index].ticks;
}
