// SPDX-License-Identifier: MIT
// The device object: one of our own, or one adopted from the program that embeds us.
// Both kinds plan and record; only our own submits.
#include <assert.h>
#include <stdlib.h>

#include "gpu/internal.h"

// Vulkan's required minimum, for finding out what a kernel asks beyond it.
static void clamp_floor(struct vkz_gpu_info *info)
{
    static const uint32_t size[3] = {128, 128, 64};
    info->max_invocations = 128;
    for (int i = 0; i < 3; i++) {
        info->max_workgroup_size[i] = size[i];
        info->max_groups[i] = 65535;
    }
    info->max_shared_bytes = 16 << 10;
    info->max_push_bytes = 128;
    info->max_storage_range = UINT64_C(128) << 20;
}

static enum vkz_status open_device(struct vkz_gpu *gpu,
                                   const struct vkz_gpu_params *params,
                                   struct vkz_error *err)
{
    enum vkz_status status = vkz_physical_query(&gpu->ivk, gpu->physical, &gpu->info,
                                                &gpu->support, &gpu->limits, err);
    if (status != VKZ_OK)
        return status;
    const uint32_t api = gpu->info.api_version;
    if (api < VK_API_VERSION_1_1)
        return vkz_error_set(
            err, VKZ_NO_DEVICE,
            "%s is a Vulkan %u.%u device; vkzoo needs 1.1: update its driver",
            gpu->info.name, VK_API_VERSION_MAJOR(api), VK_API_VERSION_MINOR(api));
    if (gpu->limits.queue_family == UINT32_MAX)
        return vkz_error_set(err, VKZ_NO_DEVICE,
                             "%s has no compute queue: choose another device",
                             gpu->info.name);
    if (params->core_only)
        vkz_support_core(&gpu->support);
    vkz_info_restrict(&gpu->info, &gpu->support);
    if (params->floor_limits)
        clamp_floor(&gpu->info);

    struct vkz_extensions extensions;
    status = vkz_extensions_query(&gpu->ivk, gpu->physical, &extensions, err);
    if (status != VKZ_OK)
        return status;
    status = vkz_device_create(&gpu->ivk, gpu->physical, api, &extensions, &gpu->support,
                               gpu->limits.queue_family, &gpu->device, err);
    vkz_extensions_finish(&extensions);
    if (status != VKZ_OK)
        return status;
    gpu->owned = true;
    status = vkz_load_device(&gpu->vk, gpu->ivk.vkGetDeviceProcAddr, gpu->device, err);
    if (status != VKZ_OK)
        return status;
    gpu->vk.vkGetDeviceQueue(gpu->device, gpu->limits.queue_family, 0, &gpu->queue);
    gpu->ivk.vkGetPhysicalDeviceMemoryProperties(gpu->physical, &gpu->memory);
    return VKZ_OK;
}

enum vkz_status vkz_gpu_create(struct vkz_instance *instance, int index,
                               const struct vkz_gpu_params *params, struct vkz_gpu **out,
                               struct vkz_error *err)
{
    *out = NULL;
    if (index < 0 || index >= instance->device_count)
        return vkz_error_set(err, VKZ_NO_DEVICE, "no device %d: there are %d, from 0",
                             index, instance->device_count);
    struct vkz_gpu *gpu = calloc(1, sizeof *gpu);
    if (!gpu)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for the device");
    gpu->owner = instance;
    gpu->ivk = instance->vk;
    gpu->instance = instance->handle;
    gpu->physical = instance->devices[index];
    const enum vkz_status status =
        open_device(gpu, params ? params : &(struct vkz_gpu_params){0}, err);
    gpu->info.index = index;
    if (status != VKZ_OK)
        vkz_gpu_destroy(&gpu);
    *out = gpu;
    return status;
}

static enum vkz_status adopt(struct vkz_gpu *gpu,
                             const struct vkz_gpu_adopt_params *params,
                             struct vkz_error *err)
{
    enum vkz_status status = vkz_load_instance(&gpu->ivk, params->get_instance_proc_addr,
                                               params->instance, err);
    if (status == VKZ_OK)
        status = vkz_physical_query(&gpu->ivk, gpu->physical, &gpu->info, &gpu->support,
                                    &gpu->limits, err);
    if (status == VKZ_OK && gpu->info.api_version < VK_API_VERSION_1_1)
        status =
            vkz_error_set(err, VKZ_NO_DEVICE,
                          "%s is a Vulkan 1.0 device; vkzoo needs 1.1", gpu->info.name);
    if (status == VKZ_OK)
        status = vkz_support_parse(params->features, &gpu->support, err);
    if (status != VKZ_OK)
        return status;
    vkz_info_restrict(&gpu->info, &gpu->support);
    return vkz_load_device(&gpu->vk, gpu->ivk.vkGetDeviceProcAddr, gpu->device, err);
}

enum vkz_status vkz_gpu_adopt(const struct vkz_gpu_adopt_params *params,
                              struct vkz_gpu **out, struct vkz_error *err)
{
    assert(params->get_instance_proc_addr && params->instance &&
           params->physical_device && params->device);
    *out = NULL;
    struct vkz_gpu *gpu = calloc(1, sizeof *gpu);
    if (!gpu)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for the device");
    gpu->instance = params->instance;
    gpu->physical = params->physical_device;
    gpu->device = params->device;
    const enum vkz_status status = adopt(gpu, params, err);
    if (status != VKZ_OK)
        vkz_gpu_destroy(&gpu);
    *out = gpu;
    return status;
}

void vkz_gpu_destroy(struct vkz_gpu **gpu)
{
    if (!*gpu)
        return;
    struct vkz_gpu *own = *gpu;
    if (own->owned && own->vk.vkDestroyDevice) {
        vkz_batch_destroy(&own->transfer);
        vkz_buffer_destroy(own, &own->staging);
        // A device that still works on our submission cannot be destroyed: leave it to
        // the end of the process rather than crash or wait for ever.
        if (vkz_gpu_settled(own))
            own->vk.vkDestroyDevice(own->device, NULL);
        else
            own->owner->hung = true;
    }
    free(own);
    *gpu = NULL;
}

const struct vkz_gpu_info *vkz_gpu_get_info(const struct vkz_gpu *gpu)
{
    return &gpu->info;
}

void vkz_gpu_env(const struct vkz_gpu *gpu, struct vkz_env *env)
{
    const struct vkz_gpu_info *info = &gpu->info;
    vkz_env_set(env, "subgroup_size", info->subgroup_size);
    vkz_env_set(env, "max_invocations", info->max_invocations);
    vkz_env_set(env, "max_shared_bytes", info->max_shared_bytes);
    vkz_env_set(env, "compute_units", info->compute_units ? info->compute_units : 1);
    vkz_env_set(env, "is_cpu", info->is_cpu);
    vkz_env_set(env, "CM_M", 0);
    vkz_env_set(env, "CM_N", 0);
    vkz_env_set(env, "CM_K", 0);
}

void vkz_gpu_memory(const struct vkz_gpu *gpu, uint64_t *now, uint64_t *peak)
{
    if (now)
        *now = gpu->memory_now;
    if (peak)
        *peak = gpu->memory_peak;
}
