// SPDX-License-Identifier: MIT
// A plan's Vulkan objects: layouts and one pipeline a pass, from the numbers of
// resolve.c. See vkzoo/plan.h.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

const struct vkz_coopmat_shape *vkz_gpu_coopmat(const struct vkz_gpu_info *info,
                                                const char *types, uint32_t index)
{
    for (int i = 0; i < info->coopmat_count; i++) {
        const struct vkz_coopmat_shape *shape = &info->coopmat[i];
        if (!strcmp(shape->types, types) && shape->subgroup_scope && !shape->saturating &&
            index-- == 0)
            return shape;
    }
    return NULL;
}

bool vkz_gpu_can_run(struct vkz_gpu *gpu, const struct vkz_kernel *kernel,
                     const struct vkz_variant *variant, struct vkz_error *err)
{
    char need[256];
    for (int i = 0; kernel->passes[i].name; i++) {
        const struct vkz_module *module = &variant->modules[i];
        if (vkz_support_runs(&gpu->support, module->capabilities, module->extensions,
                             need, sizeof need))
            continue;
        vkz_error_set(err, VKZ_SKIP, "%s", need);
        return false;
    }
    if (!variant->coopmat)
        return true;
    if (vkz_gpu_coopmat(&gpu->info, variant->coopmat, 0))
        return true;
    vkz_error_set(err, VKZ_SKIP,
                  "needs cooperative matrix %s at subgroup scope, which the device does not "
                  "list",
                  variant->coopmat);
    return false;
}

static enum vkz_status create_layouts(struct vkz_plan *plan, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    const struct vkz_gpu *gpu = plan->gpu;
    VkDescriptorSetLayoutBinding *bindings =
        calloc((size_t)plan->bind_count + 1, sizeof *bindings);
    if (!bindings)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a plan");
    uint32_t count = 0;
    for (int i = 0; i < plan->bind_count; i++)
        if (vkz_bind_is_first(plan, i))
            bindings[count++] = (VkDescriptorSetLayoutBinding){
                .binding = plan->kernel->binds[i].binding,
                .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                .descriptorCount = 1,
                .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
            };
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = count,
        .pBindings = bindings,
    };
    VK(gpu->vk.vkCreateDescriptorSetLayout(gpu->device, &set, NULL, &plan->set_layout));
    const VkPushConstantRange range = {
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        .size = plan->push_bytes,
    };
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &plan->set_layout,
        .pushConstantRangeCount = plan->push_bytes ? 1 : 0,
        .pPushConstantRanges = &range,
    };
    VK(gpu->vk.vkCreatePipelineLayout(gpu->device, &layout, NULL, &plan->layout));
fail:
    free(bindings);
    return status;
}

// Full subgroups go with a required size: kernels that ask for one divide by it.
static VkPipelineShaderStageCreateFlags stage_flags(const struct vkz_plan *plan, int pass)
{
    if (plan->subgroup_size &&
        plan->passes[pass].local_size[0] % plan->subgroup_size == 0 &&
        vkz_support_has(&plan->gpu->support, "computeFullSubgroups"))
        return VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
    return 0;
}

static enum vkz_status create_pipeline(struct vkz_plan *plan, int pass,
                                       VkPipelineCache cache, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    const struct vkz_gpu *gpu = plan->gpu;
    const struct vkz_module *words = &plan->variant->modules[pass];
    VkShaderModule module = VK_NULL_HANDLE;
    const VkShaderModuleCreateInfo shader = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = words->word_count * 4,
        .pCode = words->words,
    };
    VK(gpu->vk.vkCreateShaderModule(gpu->device, &shader, NULL, &module));
    const VkSpecializationInfo constants = {
        .mapEntryCount = (uint32_t)plan->constant_count,
        .pMapEntries = plan->entries,
        .dataSize = (size_t)plan->constant_count * 4,
        .pData = plan->constants,
    };
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo required = {
        .sType =
            VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = plan->subgroup_size,
    };
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = plan->statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
            .pNext = plan->subgroup_size ? &required : NULL,
            .flags = stage_flags(plan, pass),
            .stage = VK_SHADER_STAGE_COMPUTE_BIT,
            .module = module,
            .pName = "main",
            .pSpecializationInfo = &constants,
        },
        .layout = plan->layout,
    };
    const VkResult result = gpu->vk.vkCreateComputePipelines(
        gpu->device, cache, 1, &info, NULL, &plan->passes[pass].pipeline);
    if (result < 0)
        status = vkz_error_set(
            err, result == VK_ERROR_DEVICE_LOST ? VKZ_DEVICE_LOST : VKZ_FAILED,
            "%s.%s, pass %s with %s: the driver cannot make the pipeline: "
            "%s (%d)",
            plan->kernel->name, plan->variant->name, plan->kernel->passes[pass].name,
            plan->specialization, vkz_vk_result_name(result), (int)result);
fail:
    if (module)
        gpu->vk.vkDestroyShaderModule(gpu->device, module, NULL);
    return status;
}

static enum vkz_status plan_fill(struct vkz_plan *plan,
                                 const struct vkz_plan_params *params,
                                 struct vkz_error *err)
{
    if (!plan->variant || !plan->variant->name)
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s has no variant `%s`: see vkzoo list",
                             plan->kernel->name, params->variant ? params->variant : "");
    if (!vkz_gpu_can_run(plan->gpu, plan->kernel, plan->variant, err))
        return VKZ_SKIP;
    enum vkz_status status = vkz_plan_resolve(plan, params, err);
    if (status == VKZ_OK)
        status = create_layouts(plan, err);
    for (int i = 0; i < plan->pass_count && status == VKZ_OK; i++)
        status = create_pipeline(plan, i, params->cache, err);
    return status;
}

enum vkz_status vkz_plan_create(struct vkz_gpu *gpu, const struct vkz_plan_params *params,
                                struct vkz_plan **out, struct vkz_error *err)
{
    assert(params->kernel);
    *out = NULL;
    struct vkz_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a plan");
    plan->gpu = gpu;
    plan->kernel = params->kernel;
    plan->variant = params->variant ? vkz_variant_find(params->kernel, params->variant)
                                    : params->kernel->variants;
    plan->statistics = params->statistics && gpu->info.executable_statistics;
    const enum vkz_status status = plan_fill(plan, params, err);
    if (status != VKZ_OK)
        vkz_plan_destroy(&plan);
    *out = plan;
    return status;
}

void vkz_plan_destroy(struct vkz_plan **plan)
{
    if (!*plan)
        return;
    struct vkz_plan *own = *plan;
    struct vkz_gpu *gpu = own->gpu;
    if (vkz_gpu_settled(gpu)) {
        for (int i = 0; own->passes && i < own->pass_count; i++)
            if (own->passes[i].pipeline)
                gpu->vk.vkDestroyPipeline(gpu->device, own->passes[i].pipeline, NULL);
        if (own->layout)
            gpu->vk.vkDestroyPipelineLayout(gpu->device, own->layout, NULL);
        if (own->set_layout)
            gpu->vk.vkDestroyDescriptorSetLayout(gpu->device, own->set_layout, NULL);
    }
    free(own->specialization);
    free(own->bytes);
    free(own->passes);
    free(own->constants);
    free(own->entries);
    free(own->push);
    free(own);
    *plan = NULL;
}

const struct vkz_env *vkz_plan_env(const struct vkz_plan *plan)
{
    return &plan->env;
}

const char *vkz_plan_specialization(const struct vkz_plan *plan)
{
    return plan->specialization;
}

size_t vkz_plan_buffer_bytes(const struct vkz_plan *plan, int bind_index)
{
    assert(bind_index >= 0 && bind_index < plan->bind_count);
    return plan->bytes[bind_index];
}

int vkz_plan_bind_count(const struct vkz_plan *plan)
{
    return plan->bind_count;
}

size_t vkz_plan_scratch_bytes(const struct vkz_plan *plan)
{
    return plan->scratch_bytes;
}

size_t vkz_plan_shared_bytes(const struct vkz_plan *plan)
{
    return plan->shared_bytes;
}

int vkz_plan_pass_count(const struct vkz_plan *plan)
{
    return plan->pass_count;
}

void vkz_plan_groups(const struct vkz_plan *plan, int pass, uint32_t groups[3])
{
    assert(pass >= 0 && pass < plan->pass_count);
    memcpy(groups, plan->passes[pass].groups, sizeof plan->passes[pass].groups);
}
