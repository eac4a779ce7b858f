// SPDX-License-Identifier: MIT
// The device as the harness sees it: choose, create, allocate, submit, clock.
// Only host/gpu names Vulkan functions; bench and cli go through this file.
#ifndef VKZ_GPU_GPU_H
#define VKZ_GPU_GPU_H

#include "vkzoo/plan.h"

enum { VKZ_MAX_COOPMAT = 64, VKZ_NAME_MAX = 256 };

struct vkz_coopmat_shape {
    uint32_t m, n, k;
    char types[48];   // "f16,f16,f32,f32": A, B, C, result
    bool saturating;
    bool subgroup_scope;
};

// What is known of a physical device. Everything in here goes to the result header.
struct vkz_gpu_info {
    int index;
    char name[VKZ_NAME_MAX];
    char driver_name[VKZ_NAME_MAX];
    char driver_info[VKZ_NAME_MAX];
    char type[16]; // "discrete", "integrated", "virtual", "cpu", "other"
    uint32_t api_version, driver_version, vendor_id, device_id;
    uint8_t pipeline_cache_uuid[16];
    uint32_t subgroup_size, subgroup_min, subgroup_max; // min = max = size when unknown
    uint32_t subgroup_operations;                       // VkSubgroupFeatureFlags
    bool subgroup_size_control;
    uint32_t max_invocations, max_workgroup_size[3], max_groups[3];
    uint32_t max_shared_bytes, max_push_bytes;
    uint64_t max_storage_range;
    uint64_t offset_alignment; // minStorageBufferOffsetAlignment
    uint32_t timestamp_bits;   // of the compute queue; 0: no timestamps
    double timestamp_period_ns;
    uint64_t memory_bytes;     // device-local heap
    uint32_t compute_units;    // 0: unknown
    bool is_cpu;
    bool executable_statistics;
    char features[2048];       // SPIR-V capabilities the device can run, comma-separated
    struct vkz_coopmat_shape coopmat[VKZ_MAX_COOPMAT];
    int coopmat_count;
};

// An instance; NULL loader or no driver gives VKZ_NO_DEVICE with what to install.
struct vkz_instance;
enum vkz_status vkz_instance_create(struct vkz_instance **out, struct vkz_error *err);
void vkz_instance_destroy(struct vkz_instance **instance);
int vkz_instance_device_count(const struct vkz_instance *instance);
enum vkz_status vkz_instance_device_info(struct vkz_instance *instance, int index,
                                         struct vkz_gpu_info *info, struct vkz_error *err);
// `which`: NULL (a GPU before a CPU, discrete first), an index, or a part of the name,
// letter case ignored (a number below 100 is an index only). VKZ_NO_DEVICE lists what
// there is.
enum vkz_status vkz_instance_choose(struct vkz_instance *instance, const char *which,
                                    int *index, struct vkz_error *err);

struct vkz_gpu_params {
    bool floor_limits; // act as if the device had only Vulkan's minimum limits:
                       // 128 invocations, 16 KiB shared, 128 push bytes
    bool core_only;    // enable no optional feature: what a bare Vulkan 1.1 device can run
};
// A device of our own with every feature of the table in gpu/features.c enabled.
// The instance must outlive it.
enum vkz_status vkz_gpu_create(struct vkz_instance *instance, int index,
                               const struct vkz_gpu_params *params, struct vkz_gpu **out,
                               struct vkz_error *err);
const struct vkz_gpu_info *vkz_gpu_get_info(const struct vkz_gpu *gpu);
// Matching cooperative-matrix shape number `index` (subgroup scope, not saturating) for a
// variant's element types: what coopmat_index of a plan counts. NULL beyond the last.
const struct vkz_coopmat_shape *vkz_gpu_coopmat(const struct vkz_gpu_info *info,
                                                const char *types, uint32_t index);
// Sets the device names of vkzoo/env.h (subgroup_size, max_shared_bytes, ...).
void vkz_gpu_env(const struct vkz_gpu *gpu, struct vkz_env *env);

// Memory. DEVICE buffers are device-local (host-visible too on CPUs and integrated GPUs).
struct vkz_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    size_t bytes;
    void *map; // non-NULL when host-visible
};
enum vkz_buffer_kind { VKZ_BUFFER_DEVICE, VKZ_BUFFER_STAGING };
enum vkz_status vkz_buffer_create(struct vkz_gpu *gpu, enum vkz_buffer_kind kind,
                                  size_t bytes, struct vkz_buffer *out,
                                  struct vkz_error *err);
void vkz_buffer_destroy(struct vkz_gpu *gpu, struct vkz_buffer *buffer); // zeroed is fine
// Copies between host memory and [offset, offset+bytes), through staging where needed.
enum vkz_status vkz_buffer_write(struct vkz_gpu *gpu, struct vkz_buffer *buffer,
                                 size_t offset, const void *data, size_t bytes,
                                 struct vkz_error *err);
enum vkz_status vkz_buffer_read(struct vkz_gpu *gpu, struct vkz_buffer *buffer,
                                size_t offset, void *data, size_t bytes,
                                struct vkz_error *err);
// Fills with a 32-bit word; offset and bytes are multiples of 4.
enum vkz_status vkz_buffer_fill(struct vkz_gpu *gpu, struct vkz_buffer *buffer, size_t offset,
                                size_t bytes, uint32_t word, struct vkz_error *err);
// Bytes of device memory allocated now and at most since creation.
void vkz_gpu_memory(const struct vkz_gpu *gpu, uint64_t *now, uint64_t *peak);

// A batch: one command buffer that is recorded, submitted and waited for (never spun on).
// Timestamps are written after a full barrier at ALL_COMMANDS.
struct vkz_batch;
enum vkz_status vkz_batch_create(struct vkz_gpu *gpu, int max_stamps, struct vkz_batch **out,
                                 struct vkz_error *err);
void vkz_batch_destroy(struct vkz_batch **batch);
enum vkz_status vkz_batch_begin(struct vkz_batch *batch, struct vkz_error *err);
VkCommandBuffer vkz_batch_command_buffer(struct vkz_batch *batch);
void vkz_batch_barrier(struct vkz_batch *batch); // all compute/transfer before -> after
void vkz_batch_stamp(struct vkz_batch *batch, int index);
// Device-to-device copy, for the plain-copy ceiling.
void vkz_batch_copy(struct vkz_batch *batch, struct vkz_buffer *from, struct vkz_buffer *to,
                    size_t bytes);
// Submits and waits at most timeout_ns (0: 60 s, on CPU devices 240 s). A timeout is
// VKZ_DEVICE_LOST; destroying then waits 2 s once and leaks what is still in use. Leave the
// process with _exit after that: a driver's threads may outlive what exit() takes down.
enum vkz_status vkz_batch_run(struct vkz_batch *batch, uint64_t timeout_ns,
                              struct vkz_error *err);
// Host time from just before the submit to just after the wait of the last run.
double vkz_batch_host_ns(const struct vkz_batch *batch);
// Device time between two stamps of the last run, masked to timestampValidBits. Negative
// when the clock ran backwards; NaN when a stamp was not written.
double vkz_batch_elapsed_ns(const struct vkz_batch *batch, int first, int second);

// Clock self-test, stored in every result file.
struct vkz_clock {
    bool usable;        // false: use host-clock slopes; reason says why
    char reason[160];
    double step_ns;     // smallest difference seen between distinct stamps
    double empty_ns;    // cost of an empty pair
    bool monotonic;
    double drift_ppm;   // device against host clock over `span_ms`; NaN when unmeasured
    double span_ms;
};
enum vkz_status vkz_clock_test(struct vkz_gpu *gpu, struct vkz_clock *out,
                               struct vkz_error *err);

// Monotonic host clock.
double vkz_host_ns(void);

#endif
