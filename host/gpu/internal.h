// SPDX-License-Identifier: MIT
// What the files of host/gpu share: function tables, the device object and the VK()
// macro. Nothing outside host/gpu includes this.
#ifndef VKZ_GPU_INTERNAL_H
#define VKZ_GPU_INTERNAL_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include "gpu/gpu.h"

// Evaluates a Vulkan call once; on an error result it sets `status`, fills `err` with the
// call, the result's name and the place, and goes to `fail`. Needs those three names.
#define VK(call)                                                                         \
    do {                                                                                 \
        const VkResult vk_result_ = (call);                                              \
        if (vk_result_ < 0) {                                                            \
            status = vkz_vk_error(err, vk_result_, #call, __FILE__, __LINE__);           \
            goto fail;                                                                   \
        }                                                                                \
    } while (0)

enum vkz_status vkz_vk_error(struct vkz_error *err, VkResult result, const char *call,
                             const char *file, int line);
const char *vkz_vk_result_name(VkResult result);

// Entry points are kept in each object, not in a global table, so that devices of several
// instances (ours, and those of a program that embeds us) live side by side.
#define VKZ_INSTANCE_FUNCTIONS(X)                                                        \
    X(vkDestroyInstance)                                                                 \
    X(vkEnumeratePhysicalDevices)                                                        \
    X(vkGetPhysicalDeviceProperties)                                                     \
    X(vkGetPhysicalDeviceProperties2)                                                    \
    X(vkGetPhysicalDeviceFeatures2)                                                      \
    X(vkGetPhysicalDeviceMemoryProperties)                                               \
    X(vkGetPhysicalDeviceQueueFamilyProperties)                                          \
    X(vkEnumerateDeviceExtensionProperties)                                              \
    X(vkCreateDevice)                                                                    \
    X(vkGetDeviceProcAddr)
#define VKZ_INSTANCE_OPTIONAL(X) X(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)

#define VKZ_DEVICE_FUNCTIONS(X)                                                          \
    X(vkDestroyDevice)                                                                   \
    X(vkGetDeviceQueue)                                                                  \
    X(vkDeviceWaitIdle)                                                                  \
    X(vkCreateBuffer)                                                                    \
    X(vkDestroyBuffer)                                                                   \
    X(vkGetBufferMemoryRequirements)                                                     \
    X(vkAllocateMemory)                                                                  \
    X(vkFreeMemory)                                                                      \
    X(vkBindBufferMemory)                                                                \
    X(vkMapMemory)                                                                       \
    X(vkCreateShaderModule)                                                              \
    X(vkDestroyShaderModule)                                                             \
    X(vkCreateDescriptorSetLayout)                                                       \
    X(vkDestroyDescriptorSetLayout)                                                      \
    X(vkCreatePipelineLayout)                                                            \
    X(vkDestroyPipelineLayout)                                                           \
    X(vkCreateComputePipelines)                                                          \
    X(vkDestroyPipeline)                                                                 \
    X(vkCreateDescriptorPool)                                                            \
    X(vkDestroyDescriptorPool)                                                           \
    X(vkAllocateDescriptorSets)                                                          \
    X(vkUpdateDescriptorSets)                                                            \
    X(vkCreateCommandPool)                                                               \
    X(vkDestroyCommandPool)                                                              \
    X(vkResetCommandPool)                                                                \
    X(vkAllocateCommandBuffers)                                                          \
    X(vkBeginCommandBuffer)                                                              \
    X(vkEndCommandBuffer)                                                                \
    X(vkCmdBindPipeline)                                                                 \
    X(vkCmdBindDescriptorSets)                                                           \
    X(vkCmdPushConstants)                                                                \
    X(vkCmdDispatch)                                                                     \
    X(vkCmdDispatchIndirect)                                                             \
    X(vkCmdPipelineBarrier)                                                              \
    X(vkCmdCopyBuffer)                                                                   \
    X(vkCmdFillBuffer)                                                                   \
    X(vkCmdResetQueryPool)                                                               \
    X(vkCmdWriteTimestamp)                                                               \
    X(vkCreateQueryPool)                                                                 \
    X(vkDestroyQueryPool)                                                                \
    X(vkGetQueryPoolResults)                                                             \
    X(vkCreateFence)                                                                     \
    X(vkDestroyFence)                                                                    \
    X(vkResetFences)                                                                     \
    X(vkWaitForFences)                                                                   \
    X(vkQueueSubmit)
#define VKZ_DEVICE_OPTIONAL(X)                                                           \
    X(vkGetPipelineExecutablePropertiesKHR)                                              \
    X(vkGetPipelineExecutableStatisticsKHR)

#define VKZ_DECLARE(name) PFN_##name name;
struct vkz_instance_functions {
    VKZ_INSTANCE_FUNCTIONS(VKZ_DECLARE)
    VKZ_INSTANCE_OPTIONAL(VKZ_DECLARE)
};
struct vkz_device_functions {
    VKZ_DEVICE_FUNCTIONS(VKZ_DECLARE)
    VKZ_DEVICE_OPTIONAL(VKZ_DECLARE)
};
#undef VKZ_DECLARE

// Fill a table; a required entry point that is missing is VKZ_NO_DEVICE with its name.
enum vkz_status vkz_load_instance(struct vkz_instance_functions *vk,
                                  PFN_vkGetInstanceProcAddr get, VkInstance instance,
                                  struct vkz_error *err);
enum vkz_status vkz_load_device(struct vkz_device_functions *vk,
                                PFN_vkGetDeviceProcAddr get, VkDevice device,
                                struct vkz_error *err);

struct vkz_instance {
    VkInstance handle;
    struct vkz_instance_functions vk;
    VkPhysicalDevice *devices;
    int device_count;
    bool hung; // a device of it could not be destroyed: neither can the instance
};

// What of the table in features.c a device has (or has enabled): one bit a row, one bit a
// block (a feature structure and the extension that brings it).
struct vkz_support {
    uint64_t rows;
    uint64_t blocks;
    uint32_t subgroup_operations; // in compute shaders
};

// What the plan needs beyond vkz_gpu_info.
struct vkz_limits {
    uint32_t storage_buffers;     // per stage and set
    uint32_t max_subgroups;       // of a workgroup with a required subgroup size; 0: none
    uint64_t max_allocation;      // bytes of one memory allocation
    uint32_t queue_family;        // of the compute queue
};

struct vkz_gpu {
    struct vkz_instance_functions ivk;
    struct vkz_device_functions vk;
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    bool owned; // false: adopted, we have no queue and destroy no device
    struct vkz_instance *owner; // of our own device
    bool lost; // a submission failed or timed out: nothing more can be run
    VkFence hung;               // of a submission that timed out and may still be running
    bool given_up; // it did not end in time: handles are leaked, not destroyed
    VkQueue queue;
    struct vkz_gpu_info info;
    struct vkz_support support;
    struct vkz_limits limits;
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t memory_now, memory_peak;
    struct vkz_buffer staging;  // made on first use
    struct vkz_batch *transfer; // likewise
};

// features.c

// The extensions a device offers.
struct vkz_extensions {
    VkExtensionProperties *list;
    uint32_t count;
};
enum vkz_status vkz_extensions_query(const struct vkz_instance_functions *vk,
                                     VkPhysicalDevice device, struct vkz_extensions *out,
                                     struct vkz_error *err);
void vkz_extensions_finish(struct vkz_extensions *extensions);
bool vkz_extensions_have(const struct vkz_extensions *extensions, const char *name);

// Queries the table on a physical device of at least Vulkan 1.1.
void vkz_support_query(const struct vkz_instance_functions *vk, VkPhysicalDevice device,
                       uint32_t api_version, const struct vkz_extensions *extensions,
                       struct vkz_support *out);
// Only what needs no feature: a bare Vulkan 1.1 device.
void vkz_support_core(struct vkz_support *support);
// What a caller says it enabled: capability and feature names, comma-separated.
enum vkz_status vkz_support_parse(const char *features, struct vkz_support *out,
                                  struct vkz_error *err);
bool vkz_support_has(const struct vkz_support *support, const char *name);
// "Shader,Float16,...", cut at `size`.
void vkz_support_list(const struct vkz_support *support, char *out, size_t size);
// True when every name in the comma-separated SPIR-V lists is there; else `need` says
// what is not: "needs Float16 (shaderFloat16), which the device lacks".
bool vkz_support_runs(const struct vkz_support *support, const char *capabilities,
                      const char *extensions, char *need, size_t need_size);
// Creates a device with every row of `support` enabled.
enum vkz_status vkz_device_create(const struct vkz_instance_functions *vk,
                                  VkPhysicalDevice physical, uint32_t api_version,
                                  const struct vkz_extensions *extensions,
                                  const struct vkz_support *support,
                                  uint32_t queue_family, VkDevice *out,
                                  struct vkz_error *err);

// instance.c

enum vkz_status vkz_physical_query(const struct vkz_instance_functions *vk,
                                   VkPhysicalDevice device, struct vkz_gpu_info *info,
                                   struct vkz_support *support, struct vkz_limits *limits,
                                   struct vkz_error *err);
// Makes `info` say what `support` (perhaps less than the device has) allows.
void vkz_info_restrict(struct vkz_gpu_info *info, const struct vkz_support *support);

// batch.c

// True when handles may be destroyed. After a timeout the work gets a last chance to end,
// once; a handle in use is leaked rather than destroyed.
bool vkz_gpu_settled(struct vkz_gpu *gpu);

// Raw value of a stamp of the last run.
uint64_t vkz_batch_ticks(const struct vkz_batch *batch, int index);
// Device time from one raw stamp to a later one; negative when the clock ran backwards.
double vkz_ticks_ns(const struct vkz_gpu *gpu, uint64_t from, uint64_t to);

// resolve.c: the plan's numbers; plan.c: its Vulkan objects

struct vkz_plan_pass {
    VkPipeline pipeline;
    uint32_t local_size[3];
    uint32_t groups[3]; // any 0: the pass is skipped
    int indirect;       // index into binds of the buffer with the counts, or -1
};

struct vkz_plan {
    struct vkz_gpu *gpu;
    const struct vkz_kernel *kernel;
    const struct vkz_variant *variant;
    struct vkz_env env;
    char *specialization;
    size_t *bytes; // one a bind; 0: absent in this case
    int bind_count;
    struct vkz_plan_pass *passes;
    int pass_count;
    uint32_t *constants; // one 4-byte word a specialization constant
    VkSpecializationMapEntry *entries;
    int constant_count;
    uint32_t *push;
    uint32_t push_bytes;
    size_t scratch_bytes, shared_bytes;
    uint32_t subgroup_size; // required, or 0
    bool statistics;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
};

// Fills everything but the Vulkan objects, and checks it against the device. On failure
// the caller frees what is there with vkz_plan_destroy.
enum vkz_status vkz_plan_resolve(struct vkz_plan *plan,
                                 const struct vkz_plan_params *params,
                                 struct vkz_error *err);
// True for the first bind of each binding number.
bool vkz_bind_is_first(const struct vkz_plan *plan, int bind);

struct vkz_binding {
    struct vkz_gpu *gpu;
    VkDescriptorPool pool;
    VkDescriptorSet set;
    VkDescriptorBufferInfo *buffers; // one a bind, as given
};

// True when `name` is one of the comma-separated names of `list`.
bool vkz_list_has(const char *list, const char *name);

#endif
