// SPDX-License-Identifier: MIT
// What the driver's compiler says of a plan's pipelines: registers, spills, code size.
// Only on a plan made for it, never on one that is timed.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gpu/internal.h"

typedef void visit_fn(void *context, const char *pass, const char *executable,
                      const char *name, const char *value);

static void format_value(const VkPipelineExecutableStatisticKHR *statistic, char *out,
                         size_t size)
{
    switch (statistic->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        snprintf(out, size, "%s", statistic->value.b32 ? "true" : "false");
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        snprintf(out, size, "%" PRId64, statistic->value.i64);
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        snprintf(out, size, "%" PRIu64, statistic->value.u64);
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
        snprintf(out, size, "%.6g", statistic->value.f64);
        break;
    default:
        snprintf(out, size, "unknown format %d", (int)statistic->format);
    }
}

static enum vkz_status visit_executable(const struct vkz_plan *plan, int pass,
                                        uint32_t index, const char *executable,
                                        visit_fn *visit, void *context,
                                        struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    const struct vkz_gpu *gpu = plan->gpu;
    VkPipelineExecutableStatisticKHR *list = NULL;
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
        .pipeline = plan->passes[pass].pipeline,
        .executableIndex = index,
    };
    uint32_t count = 0;
    VK(gpu->vk.vkGetPipelineExecutableStatisticsKHR(gpu->device, &info, &count, NULL));
    list = calloc(count + 1u, sizeof *list);
    if (!list)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for pipeline statistics");
    for (uint32_t i = 0; i < count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    VK(gpu->vk.vkGetPipelineExecutableStatisticsKHR(gpu->device, &info, &count, list));
    for (uint32_t i = 0; i < count; i++) {
        char value[64];
        format_value(&list[i], value, sizeof value);
        visit(context, plan->kernel->passes[pass].name, executable, list[i].name, value);
    }
fail:
    free(list);
    return status;
}

static enum vkz_status visit_pass(const struct vkz_plan *plan, int pass, visit_fn *visit,
                                  void *context, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    const struct vkz_gpu *gpu = plan->gpu;
    VkPipelineExecutablePropertiesKHR *list = NULL;
    const VkPipelineInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR,
        .pipeline = plan->passes[pass].pipeline,
    };
    uint32_t count = 0;
    VK(gpu->vk.vkGetPipelineExecutablePropertiesKHR(gpu->device, &info, &count, NULL));
    list = calloc(count + 1u, sizeof *list);
    if (!list)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for pipeline statistics");
    for (uint32_t i = 0; i < count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
    VK(gpu->vk.vkGetPipelineExecutablePropertiesKHR(gpu->device, &info, &count, list));
    for (uint32_t i = 0; i < count && status == VKZ_OK; i++)
        status = visit_executable(plan, pass, i, list[i].name, visit, context, err);
fail:
    free(list);
    return status;
}

enum vkz_status vkz_plan_statistics(const struct vkz_plan *plan,
                                    void (*visit)(void *context, const char *pass,
                                                  const char *executable,
                                                  const char *name, const char *value),
                                    void *context, struct vkz_error *err)
{
    const struct vkz_device_functions *vk = &plan->gpu->vk;
    if (!plan->statistics || !vk->vkGetPipelineExecutablePropertiesKHR ||
        !vk->vkGetPipelineExecutableStatisticsKHR)
        return vkz_error_set(
            err, VKZ_SKIP,
            "no pipeline statistics: %s has no pipelineExecutableInfo, or "
            "the plan was made without `statistics`",
            plan->gpu->info.name);
    enum vkz_status status = VKZ_OK;
    for (int i = 0; i < plan->pass_count && status == VKZ_OK; i++)
        status = visit_pass(plan, i, visit, context, err);
    return status;
}
