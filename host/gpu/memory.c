// SPDX-License-Identifier: MIT
// Buffers: one VkBuffer and one allocation each, and copies between host and device.
// Cases are few and large, so there is no suballocator; every byte is counted.
#include <assert.h>
#include <string.h>

#include "gpu/internal.h"

enum { STAGING_BYTES = 16 << 20 };

static bool host_near(const struct vkz_gpu *gpu)
{
    return gpu->info.is_cpu || !strcmp(gpu->info.type, "integrated");
}

// Memory type among `allowed` with all of `required` and most of `wanted`, or -1. Types
// with any of `unwanted` come last: the window of device memory that a discrete GPU shows
// to the host is small.
static int type_find(const struct vkz_gpu *gpu, uint32_t allowed, uint32_t required,
                     uint32_t wanted, uint32_t unwanted)
{
    int best = -1, best_score = -1;
    for (uint32_t i = 0; i < gpu->memory.memoryTypeCount; i++) {
        const uint32_t flags = gpu->memory.memoryTypes[i].propertyFlags;
        const uint32_t special = VK_MEMORY_PROPERTY_PROTECTED_BIT |
                                 VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
                                 VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD;
        if (!(allowed >> i & 1) || (flags & required) != required || (flags & special))
            continue;
        const int score = 2 * ((flags & wanted) == wanted) + !(flags & unwanted);
        if (score > best_score) {
            best = (int)i;
            best_score = score;
        }
    }
    return best;
}

static int type_choose(const struct vkz_gpu *gpu, enum vkz_buffer_kind kind,
                       uint32_t allowed)
{
    const uint32_t host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const uint32_t local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    if (kind == VKZ_BUFFER_STAGING)
        return type_find(gpu, allowed, host, VK_MEMORY_PROPERTY_HOST_CACHED_BIT, local);
    const int near = host_near(gpu) ? type_find(gpu, allowed, local | host, 0, 0) : -1;
    if (near >= 0)
        return near;
    const int found =
        type_find(gpu, allowed, local, 0, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT);
    return found >= 0 ? found : type_find(gpu, allowed, 0, local, 0);
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static enum vkz_status out_of_memory(const struct vkz_gpu *gpu, size_t bytes,
                                     const char *what, struct vkz_error *err)
{
    return vkz_error_set(
        err, VKZ_FAILED,
        "cannot allocate %.1f MiB on %s: %s (%.1f MiB allocated now, the "
        "device has %.1f MiB in all, %.1f MiB in one piece): use a smaller "
        "case or close other programs that use the device",
        mib(bytes), gpu->info.name, what, mib(gpu->memory_now),
        mib(gpu->info.memory_bytes), mib(gpu->limits.max_allocation));
}

static enum vkz_status allocate(struct vkz_gpu *gpu, enum vkz_buffer_kind kind,
                                struct vkz_buffer *buffer, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    VkMemoryRequirements needs;
    gpu->vk.vkGetBufferMemoryRequirements(gpu->device, buffer->handle, &needs);
    const int type = type_choose(gpu, kind, needs.memoryTypeBits);
    if (type < 0)
        return vkz_error_set(err, VKZ_FAILED, "%s offers no memory for storage buffers",
                             gpu->info.name);
    if (gpu->limits.max_allocation && needs.size > gpu->limits.max_allocation)
        return out_of_memory(gpu, buffer->bytes, "larger than one allocation may be",
                             err);
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = needs.size,
        .memoryTypeIndex = (uint32_t)type,
    };
    const VkResult result =
        gpu->vk.vkAllocateMemory(gpu->device, &info, NULL, &buffer->memory);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return out_of_memory(gpu, buffer->bytes, vkz_vk_result_name(result), err);
    VK(result);
    VK(gpu->vk.vkBindBufferMemory(gpu->device, buffer->handle, buffer->memory, 0));
    if (gpu->memory.memoryTypes[type].propertyFlags &
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
        VK(gpu->vk.vkMapMemory(gpu->device, buffer->memory, 0, VK_WHOLE_SIZE, 0,
                               &buffer->map));
fail:
    return status;
}

static enum vkz_status need_own_device(const struct vkz_gpu *gpu, struct vkz_error *err)
{
    if (gpu->owned)
        return VKZ_OK;
    return vkz_error_set(err, VKZ_BAD_INPUT,
                         "an adopted device allocates and submits through its owner: use "
                         "vkz_binding_create and vkz_record");
}

enum vkz_status vkz_buffer_create(struct vkz_gpu *gpu, enum vkz_buffer_kind kind,
                                  size_t bytes, struct vkz_buffer *out,
                                  struct vkz_error *err)
{
    *out = (struct vkz_buffer){0};
    enum vkz_status status = need_own_device(gpu, err);
    if (status != VKZ_OK)
        return status;
    // Whole words, so that fills and kernels that read small types as words stay inside.
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes ? (bytes + 3) / 4 * 4 : 4,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                 VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    // Drivers refuse absurd sizes here or there; ask no driver for more than there is.
    if (gpu->info.memory_bytes && bytes > gpu->info.memory_bytes)
        return out_of_memory(gpu, bytes, "more than the device has", err);
    VK(gpu->vk.vkCreateBuffer(gpu->device, &info, NULL, &out->handle));
    out->bytes = bytes;
    status = allocate(gpu, kind, out, err);
    if (status != VKZ_OK)
        goto fail;
    gpu->memory_now += out->bytes;
    if (gpu->memory_now > gpu->memory_peak)
        gpu->memory_peak = gpu->memory_now;
    return VKZ_OK;
fail:
    out->bytes = 0; // not counted yet
    vkz_buffer_destroy(gpu, out);
    return status;
}

void vkz_buffer_destroy(struct vkz_gpu *gpu, struct vkz_buffer *buffer)
{
    if (vkz_gpu_settled(gpu)) {
        if (buffer->handle)
            gpu->vk.vkDestroyBuffer(gpu->device, buffer->handle, NULL);
        if (buffer->memory)
            gpu->vk.vkFreeMemory(gpu->device, buffer->memory, NULL); // unmaps
    }
    gpu->memory_now -= buffer->bytes;
    *buffer = (struct vkz_buffer){0};
}

// ---- copies ---------------------------------------------------------------------------

static enum vkz_status staging_need(struct vkz_gpu *gpu, struct vkz_error *err)
{
    if (gpu->staging.handle)
        return VKZ_OK;
    return vkz_buffer_create(gpu, VKZ_BUFFER_STAGING, STAGING_BYTES, &gpu->staging, err);
}

static enum vkz_status transfer_begin(struct vkz_gpu *gpu, struct vkz_error *err)
{
    enum vkz_status status = need_own_device(gpu, err);
    if (status == VKZ_OK && !gpu->transfer)
        status = vkz_batch_create(gpu, 0, &gpu->transfer, err);
    if (status == VKZ_OK)
        status = vkz_batch_begin(gpu->transfer, err);
    if (status == VKZ_OK)
        vkz_batch_barrier(gpu->transfer);
    return status;
}

// Copies between the staging buffer's start and [offset, offset + bytes) of `buffer`.
static enum vkz_status transfer(struct vkz_gpu *gpu, struct vkz_buffer *buffer,
                                size_t offset, size_t bytes, bool upload,
                                struct vkz_error *err)
{
    const enum vkz_status status = transfer_begin(gpu, err);
    if (status != VKZ_OK)
        return status;
    const VkBufferCopy region = {
        .srcOffset = upload ? 0 : offset,
        .dstOffset = upload ? offset : 0,
        .size = bytes,
    };
    const VkBuffer from = upload ? gpu->staging.handle : buffer->handle;
    const VkBuffer to = upload ? buffer->handle : gpu->staging.handle;
    gpu->vk.vkCmdCopyBuffer(vkz_batch_command_buffer(gpu->transfer), from, to, 1,
                            &region);
    return vkz_batch_run(gpu->transfer, 0, err);
}

enum vkz_status vkz_buffer_write(struct vkz_gpu *gpu, struct vkz_buffer *buffer,
                                 size_t offset, const void *data, size_t bytes,
                                 struct vkz_error *err)
{
    assert(offset <= buffer->bytes && bytes <= buffer->bytes - offset);
    if (buffer->map) {
        if (bytes)
            memcpy((char *)buffer->map + offset, data, bytes);
        return VKZ_OK;
    }
    enum vkz_status status = staging_need(gpu, err);
    for (size_t done = 0; status == VKZ_OK && done < bytes;) {
        const size_t part = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        memcpy(gpu->staging.map, (const char *)data + done, part);
        status = transfer(gpu, buffer, offset + done, part, true, err);
        done += part;
    }
    return status;
}

enum vkz_status vkz_buffer_read(struct vkz_gpu *gpu, struct vkz_buffer *buffer,
                                size_t offset, void *data, size_t bytes,
                                struct vkz_error *err)
{
    assert(offset <= buffer->bytes && bytes <= buffer->bytes - offset);
    if (buffer->map) {
        if (bytes)
            memcpy(data, (const char *)buffer->map + offset, bytes);
        return VKZ_OK;
    }
    enum vkz_status status = staging_need(gpu, err);
    for (size_t done = 0; status == VKZ_OK && done < bytes;) {
        const size_t part = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        status = transfer(gpu, buffer, offset + done, part, false, err);
        if (status == VKZ_OK)
            memcpy((char *)data + done, gpu->staging.map, part);
        done += part;
    }
    return status;
}

enum vkz_status vkz_buffer_fill(struct vkz_gpu *gpu, struct vkz_buffer *buffer,
                                size_t offset, size_t bytes, uint32_t word,
                                struct vkz_error *err)
{
    assert(offset % 4 == 0 && bytes % 4 == 0);
    assert(offset <= buffer->bytes && bytes <= buffer->bytes - offset);
    if (!bytes)
        return VKZ_OK;
    if (buffer->map) {
        char *const at = (char *)buffer->map + offset;
        for (size_t i = 0; i < bytes; i += sizeof word)
            memcpy(at + i, &word, sizeof word);
        return VKZ_OK;
    }
    const enum vkz_status status = transfer_begin(gpu, err);
    if (status != VKZ_OK)
        return status;
    gpu->vk.vkCmdFillBuffer(vkz_batch_command_buffer(gpu->transfer), buffer->handle,
                            offset, bytes, word);
    return vkz_batch_run(gpu->transfer, 0, err);
}
