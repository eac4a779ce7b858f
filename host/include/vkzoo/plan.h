// SPDX-License-Identifier: MIT
// libvkzoo: run the zoo's kernels inside another program's command buffers.
//
//   vkz_gpu      what a plan needs to know of a device (created, or adopted from yours)
//   vkz_plan     kernel + variant + tuning + sizes -> pipelines, layouts, scratch sizes
//   vkz_binding  the plan's descriptor sets on given buffers
//   vkz_record   writes dispatches and barriers into your command buffer
//
// The vkzoo program runs kernels through exactly these calls. Nothing here submits, waits
// or allocates device memory. Not thread-safe per object; distinct objects are independent.
#ifndef VKZOO_PLAN_H
#define VKZOO_PLAN_H

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#include "vkzoo/env.h"
#include "vkzoo/kernel.h"
#include "vkzoo/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vkz_gpu;
struct vkz_plan;
struct vkz_binding;

// Adopts a device that belongs to the caller, who enabled features on it. `features` lists
// the SPIR-V capabilities the device was created for ("Float16,StorageBuffer16BitAccess"),
// and of the features without a capability subgroupSizeControl, computeFullSubgroups and
// pipelineExecutableInfo; NULL: only core Vulkan 1.1 is used. A name vkzoo does not know is
// VKZ_BAD_INPUT. The vk* entry points are taken from `get_instance_proc_addr`. The caller
// keeps ownership of every handle.
struct vkz_gpu_adopt_params {
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    VkInstance instance;
    VkPhysicalDevice physical_device;
    VkDevice device;
    const char *features;
};
enum vkz_status vkz_gpu_adopt(const struct vkz_gpu_adopt_params *params, struct vkz_gpu **out,
                              struct vkz_error *err);
// Destroys what vkzoo made (for an adopted device: nothing of the caller's). NULL is fine.
void vkz_gpu_destroy(struct vkz_gpu **gpu);

struct vkz_plan_params {
    const struct vkz_kernel *kernel;
    const char *variant;       // NULL: the first
    // Dims, scalars and axes of the case, by name; AXIS.value names only where a kernel's
    // expressions use them (vkz_case fills them in).
    const struct vkz_env *env;
    const char *tuning;        // "WG_SIZE=8 TILE_M=16", or NULL: constants' own values
    uint32_t subgroup_size;    // required subgroup size; 0: the driver's choice
    uint32_t coopmat_index;    // which matching cooperative-matrix shape; 0: the first
    VkPipelineCache cache;     // VK_NULL_HANDLE: none
    bool statistics;           // capture executable statistics (never on a timed plan)
};

// VKZ_SKIP with the unmet need when the device or the kernel cannot serve the case.
// Checks capabilities, limits (workgroup size, shared memory, push bytes, group counts,
// storage range) before any pipeline is made.
enum vkz_status vkz_plan_create(struct vkz_gpu *gpu, const struct vkz_plan_params *params,
                                struct vkz_plan **out, struct vkz_error *err);
void vkz_plan_destroy(struct vkz_plan **plan);

// Everything the plan resolved: dims, constants, lets, groups. Borrowed.
const struct vkz_env *vkz_plan_env(const struct vkz_plan *plan);
// "WG_SIZE=8,TILE_M=16": every constant's final value, in declaration order. Borrowed.
const char *vkz_plan_specialization(const struct vkz_plan *plan);
// Bytes of the buffer for element i of kernel->binds; 0 when absent in this case. Scratch
// included: the caller allocates it like any other buffer.
size_t vkz_plan_buffer_bytes(const struct vkz_plan *plan, int bind_index);
int vkz_plan_bind_count(const struct vkz_plan *plan);
size_t vkz_plan_scratch_bytes(const struct vkz_plan *plan); // the sum over scratch buffers
size_t vkz_plan_shared_bytes(const struct vkz_plan *plan);
int vkz_plan_pass_count(const struct vkz_plan *plan);
// 0, 0, 0 for a pass whose counts are in a buffer; any 0 otherwise: the pass is skipped.
void vkz_plan_groups(const struct vkz_plan *plan, int pass, uint32_t groups[3]);

// `buffers` has one entry a bind, in kernel->binds order; absent ones are ignored. Offsets
// obey minStorageBufferOffsetAlignment; ranges are at least vkz_plan_buffer_bytes rounded up
// to a multiple of 4 (kernels read small types as words), or VK_WHOLE_SIZE. The buffer a
// pass takes its group counts from needs VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT.
enum vkz_status vkz_binding_create(struct vkz_plan *plan,
                                   const VkDescriptorBufferInfo *buffers,
                                   struct vkz_binding **out, struct vkz_error *err);
void vkz_binding_destroy(struct vkz_binding **binding);

// Records every pass with compute-to-compute barriers between passes (none before the first
// and none after the last: the caller orders it against its own work).
void vkz_record(const struct vkz_plan *plan, const struct vkz_binding *binding,
                VkCommandBuffer cmd);
// Records passes [first, first + count) only, for per-pass timing and fault tests.
void vkz_record_passes(const struct vkz_plan *plan, const struct vkz_binding *binding,
                       VkCommandBuffer cmd, int first, int count);

// Driver statistics of a plan made with `statistics`: calls `visit` for every
// (pass, executable, name, value as text). VKZ_SKIP when the driver has none.
enum vkz_status vkz_plan_statistics(const struct vkz_plan *plan,
                                    void (*visit)(void *context, const char *pass,
                                                  const char *executable, const char *name,
                                                  const char *value),
                                    void *context, struct vkz_error *err);

// True when the device can run the variant at all; otherwise false and why in `err`
// ("needs Float16 (shaderFloat16)"). No pipeline is made.
bool vkz_gpu_can_run(struct vkz_gpu *gpu, const struct vkz_kernel *kernel,
                     const struct vkz_variant *variant, struct vkz_error *err);

#ifdef __cplusplus
}
#endif
#endif
