// SPDX-License-Identifier: MIT
// A plan on given buffers: its descriptor set, and its dispatches in a command buffer.
// See vkzoo/plan.h.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

// The bind whose buffer stands at `bind`'s binding number: itself or a present bind of
// the same number; the first present one where the number is absent in this case, because
// a descriptor that the shader names must be valid even when it is never touched.
static int source_of(const struct vkz_plan *plan, int bind)
{
    int first = -1;
    for (int i = 0; i < plan->bind_count; i++) {
        if (!plan->bytes[i])
            continue;
        if (plan->kernel->binds[i].binding == plan->kernel->binds[bind].binding)
            return i;
        if (first < 0)
            first = i;
    }
    return first;
}

static enum vkz_status check_buffers(const struct vkz_plan *plan,
                                     const VkDescriptorBufferInfo *buffers,
                                     struct vkz_error *err)
{
    for (int i = 0; i < plan->bind_count; i++) {
        const char *name = plan->kernel->binds[i].name;
        if (!plan->bytes[i])
            continue;
        if (!buffers[i].buffer)
            return vkz_error_set(err, VKZ_BAD_INPUT, "%s: no buffer is given for %s",
                                 plan->kernel->name, name);
        const size_t needed = (plan->bytes[i] + 3) / 4 * 4;
        if (buffers[i].range < needed) // VK_WHOLE_SIZE is the largest number
            return vkz_error_set(err, VKZ_BAD_INPUT,
                                 "%s: the buffer for %s has %llu bytes, it needs %zu",
                                 plan->kernel->name, name,
                                 (unsigned long long)buffers[i].range, needed);
        if (buffers[i].offset % plan->gpu->info.offset_alignment)
            return vkz_error_set(err, VKZ_BAD_INPUT,
                                 "%s: the offset of %s is no multiple of %llu",
                                 plan->kernel->name, name,
                                 (unsigned long long)plan->gpu->info.offset_alignment);
    }
    if (plan->bind_count && source_of(plan, 0) < 0)
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s: every buffer of this case is empty",
                             plan->kernel->name);
    return VKZ_OK;
}

static enum vkz_status allocate_set(const struct vkz_plan *plan,
                                    struct vkz_binding *binding, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    const struct vkz_gpu *gpu = plan->gpu;
    const VkDescriptorPoolSize size = {
        .type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        .descriptorCount = (uint32_t)plan->bind_count,
    };
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = 1,
        .poolSizeCount = 1,
        .pPoolSizes = &size,
    };
    VK(gpu->vk.vkCreateDescriptorPool(gpu->device, &pool, NULL, &binding->pool));
    const VkDescriptorSetAllocateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = binding->pool,
        .descriptorSetCount = 1,
        .pSetLayouts = &plan->set_layout,
    };
    VK(gpu->vk.vkAllocateDescriptorSets(gpu->device, &set, &binding->set));
    for (int i = 0; i < plan->bind_count; i++) {
        if (!vkz_bind_is_first(plan, i))
            continue;
        const VkWriteDescriptorSet write = {
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = binding->set,
            .dstBinding = plan->kernel->binds[i].binding,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &binding->buffers[source_of(plan, i)],
        };
        gpu->vk.vkUpdateDescriptorSets(gpu->device, 1, &write, 0, NULL);
    }
fail:
    return status;
}

enum vkz_status vkz_binding_create(struct vkz_plan *plan,
                                   const VkDescriptorBufferInfo *buffers,
                                   struct vkz_binding **out, struct vkz_error *err)
{
    *out = NULL;
    enum vkz_status status = check_buffers(plan, buffers, err);
    if (status != VKZ_OK)
        return status;
    struct vkz_binding *binding = calloc(1, sizeof *binding);
    if (!binding)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a binding");
    binding->gpu = plan->gpu;
    binding->buffers = calloc((size_t)plan->bind_count + 1, sizeof *binding->buffers);
    if (!binding->buffers) {
        status = vkz_error_set(err, VKZ_FAILED, "out of memory for a binding");
    } else if (plan->bind_count) {
        memcpy(binding->buffers, buffers,
               (size_t)plan->bind_count * sizeof *binding->buffers);
        status = allocate_set(plan, binding, err);
    }
    if (status != VKZ_OK)
        vkz_binding_destroy(&binding);
    *out = binding;
    return status;
}

void vkz_binding_destroy(struct vkz_binding **binding)
{
    if (!*binding)
        return;
    struct vkz_binding *own = *binding;
    if (own->pool && vkz_gpu_settled(own->gpu))
        own->gpu->vk.vkDestroyDescriptorPool(own->gpu->device, own->pool, NULL);
    free(own->buffers);
    free(own);
    *binding = NULL;
}

static bool pass_is_empty(const struct vkz_plan_pass *pass)
{
    return pass->indirect < 0 &&
           (!pass->groups[0] || !pass->groups[1] || !pass->groups[2]);
}

static void record_pass(const struct vkz_plan *plan, const struct vkz_binding *binding,
                        VkCommandBuffer cmd, const struct vkz_plan_pass *pass)
{
    const struct vkz_device_functions *vk = &plan->gpu->vk;
    vk->vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pass->pipeline);
    if (pass->indirect < 0) {
        vk->vkCmdDispatch(cmd, pass->groups[0], pass->groups[1], pass->groups[2]);
        return;
    }
    const VkDescriptorBufferInfo *counts = &binding->buffers[pass->indirect];
    vk->vkCmdDispatchIndirect(cmd, counts->buffer, counts->offset);
}

static void record_barrier(const struct vkz_plan *plan, VkCommandBuffer cmd)
{
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_INDIRECT_COMMAND_READ_BIT,
    };
    plan->gpu->vk.vkCmdPipelineBarrier(
        cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT, 0, 1,
        &memory, 0, NULL, 0, NULL);
}

void vkz_record_passes(const struct vkz_plan *plan, const struct vkz_binding *binding,
                       VkCommandBuffer cmd, int first, int count)
{
    const struct vkz_device_functions *vk = &plan->gpu->vk;
    assert(first >= 0 && count >= 0 && first + count <= plan->pass_count);
    if (binding->set)
        vk->vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, plan->layout, 0,
                                    1, &binding->set, 0, NULL);
    if (plan->push_bytes)
        vk->vkCmdPushConstants(cmd, plan->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               plan->push_bytes, plan->push);
    bool wrote = false;
    for (int i = first; i < first + count; i++) {
        if (pass_is_empty(&plan->passes[i]))
            continue;
        if (wrote)
            record_barrier(plan, cmd);
        record_pass(plan, binding, cmd, &plan->passes[i]);
        wrote = true;
    }
}

void vkz_record(const struct vkz_plan *plan, const struct vkz_binding *binding,
                VkCommandBuffer cmd)
{
    vkz_record_passes(plan, binding, cmd, 0, plan->pass_count);
}
