// SPDX-License-Identifier: MIT
// The Vulkan loader, the instance, and what can be learnt of a physical device.
// A machine without a loader or driver gets a sentence saying what to install.
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/internal.h"

const char *vkz_vk_result_name(VkResult result)
{
    switch (result) {
#define NAME(code)                                                                       \
    case code:                                                                           \
        return #code
        NAME(VK_SUCCESS);
        NAME(VK_NOT_READY);
        NAME(VK_TIMEOUT);
        NAME(VK_INCOMPLETE);
        NAME(VK_PIPELINE_COMPILE_REQUIRED);
        NAME(VK_ERROR_OUT_OF_HOST_MEMORY);
        NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        NAME(VK_ERROR_INITIALIZATION_FAILED);
        NAME(VK_ERROR_DEVICE_LOST);
        NAME(VK_ERROR_MEMORY_MAP_FAILED);
        NAME(VK_ERROR_LAYER_NOT_PRESENT);
        NAME(VK_ERROR_EXTENSION_NOT_PRESENT);
        NAME(VK_ERROR_FEATURE_NOT_PRESENT);
        NAME(VK_ERROR_INCOMPATIBLE_DRIVER);
        NAME(VK_ERROR_TOO_MANY_OBJECTS);
        NAME(VK_ERROR_FRAGMENTED_POOL);
        NAME(VK_ERROR_OUT_OF_POOL_MEMORY);
        NAME(VK_ERROR_FRAGMENTATION);
        NAME(VK_ERROR_INVALID_SHADER_NV);
        NAME(VK_ERROR_VALIDATION_FAILED_EXT);
        NAME(VK_ERROR_NOT_PERMITTED);
        NAME(VK_ERROR_UNKNOWN);
#undef NAME
    default:
        return "an unknown VkResult";
    }
}

// The part of a path after the source root, so that messages do not depend on the build.
static const char *short_file(const char *file)
{
    const char *found = strstr(file, "host/gpu/");
    return found ? found : file;
}

enum vkz_status vkz_vk_error(struct vkz_error *err, VkResult result, const char *call,
                             const char *file, int line)
{
    const enum vkz_status status =
        result == VK_ERROR_DEVICE_LOST ? VKZ_DEVICE_LOST : VKZ_FAILED;
    return vkz_error_set(err, status, "%s (%d) from %.300s at %s:%d",
                         vkz_vk_result_name(result), (int)result, call, short_file(file),
                         line);
}

enum vkz_status vkz_load_instance(struct vkz_instance_functions *vk,
                                  PFN_vkGetInstanceProcAddr get, VkInstance instance,
                                  struct vkz_error *err)
{
    const char *missing = NULL;
#define OPTIONAL(name) vk->name = (PFN_##name)get(instance, #name);
#define REQUIRED(name)                                                                   \
    OPTIONAL(name)                                                                       \
    if (!vk->name)                                                                       \
        missing = #name;
    VKZ_INSTANCE_FUNCTIONS(REQUIRED)
    VKZ_INSTANCE_OPTIONAL(OPTIONAL)
#undef REQUIRED
#undef OPTIONAL
    if (missing)
        return vkz_error_set(err, VKZ_NO_DEVICE,
                             "the Vulkan instance has no %s: it needs Vulkan 1.1",
                             missing);
    return VKZ_OK;
}

enum vkz_status vkz_load_device(struct vkz_device_functions *vk,
                                PFN_vkGetDeviceProcAddr get, VkDevice device,
                                struct vkz_error *err)
{
    const char *missing = NULL;
#define OPTIONAL(name) vk->name = (PFN_##name)get(device, #name);
#define REQUIRED(name)                                                                   \
    OPTIONAL(name)                                                                       \
    if (!vk->name)                                                                       \
        missing = #name;
    VKZ_DEVICE_FUNCTIONS(REQUIRED)
    VKZ_DEVICE_OPTIONAL(OPTIONAL)
#undef REQUIRED
#undef OPTIONAL
    if (missing)
        return vkz_error_set(err, VKZ_NO_DEVICE,
                             "the Vulkan device has no %s: broken driver", missing);
    return VKZ_OK;
}

static const char no_driver[] =
    "no Vulkan driver found: install the GPU vendor's driver, or mesa-vulkan-drivers, "
    "which also brings a driver that runs on the CPU";

// The loader's entry points that need no instance.
struct loader {
    PFN_vkGetInstanceProcAddr get;
    PFN_vkEnumerateInstanceVersion version; // NULL in Vulkan 1.0
    PFN_vkEnumerateInstanceExtensionProperties extensions;
    PFN_vkCreateInstance create;
};

static bool instance_extension(const struct loader *loader, const char *name)
{
    uint32_t count = 0;
    if (loader->extensions(NULL, &count, NULL) < 0)
        return false;
    VkExtensionProperties *list = calloc(count + 1u, sizeof *list);
    bool found = false;
    if (list && loader->extensions(NULL, &count, list) >= 0)
        for (uint32_t i = 0; i < count; i++)
            found |= !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}

static enum vkz_status devices_enumerate(struct vkz_instance *instance,
                                         struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    VkResult result = VK_INCOMPLETE;
    uint32_t count = 0;
    for (int round = 0; round < 4 && result == VK_INCOMPLETE; round++) {
        result = instance->vk.vkEnumeratePhysicalDevices(instance->handle, &count, NULL);
        // Loaders report a set of drivers that all failed to start as a failed call.
        if (result == VK_ERROR_INITIALIZATION_FAILED || (result >= 0 && count == 0))
            return vkz_error_set(err, VKZ_NO_DEVICE, "%s", no_driver);
        VK(result);
        free(instance->devices);
        instance->devices = calloc(count, sizeof(VkPhysicalDevice));
        if (!instance->devices)
            return vkz_error_set(err, VKZ_FAILED, "out of memory for the device list");
        result = instance->vk.vkEnumeratePhysicalDevices(instance->handle, &count,
                                                         instance->devices);
        VK(result);
        instance->device_count = (int)count;
    }
fail:
    return status;
}

// Never closed: drivers leave threads behind, and opening it again costs nothing.
static enum vkz_status loader_open(struct loader *out, struct vkz_error *err)
{
    void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        library = dlopen("libvulkan.so", RTLD_NOW | RTLD_LOCAL);
    const union {
        void *object;
        PFN_vkGetInstanceProcAddr call;
    } get = {library ? dlsym(library, "vkGetInstanceProcAddr") : NULL};
    if (!get.object)
        return vkz_error_set(
            err, VKZ_NO_DEVICE,
            "no Vulkan loader found (libvulkan.so.1): install libvulkan1 "
            "and a driver such as mesa-vulkan-drivers or the GPU vendor's");
#define GLOBAL(name) (PFN_##name)get.call(NULL, #name)
    *out = (struct loader){
        .get = get.call,
        .version = GLOBAL(vkEnumerateInstanceVersion),
        .extensions = GLOBAL(vkEnumerateInstanceExtensionProperties),
        .create = GLOBAL(vkCreateInstance),
    };
#undef GLOBAL
    uint32_t version = 0;
    if (!out->version || out->version(&version) < 0 || version < VK_API_VERSION_1_1 ||
        !out->extensions || !out->create)
        return vkz_error_set(
            err, VKZ_NO_DEVICE,
            "the Vulkan loader is older than 1.1: install a newer libvulkan1");
    return VKZ_OK;
}

enum vkz_status vkz_instance_create(struct vkz_instance **out, struct vkz_error *err)
{
    *out = NULL;
    struct loader loader = {0};
    enum vkz_status status = loader_open(&loader, err);
    if (status != VKZ_OK)
        return status;

    struct vkz_instance *instance = calloc(1, sizeof *instance);
    if (!instance)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for the Vulkan instance");
    const bool portability = instance_extension(&loader, "VK_KHR_portability_enumeration");
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "vkzoo",
        .pEngineName = "vkzoo",
        .apiVersion =
            VK_API_VERSION_1_3, // devices of 1.1 and 1.2 are served all the same
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .flags = portability ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
        .pApplicationInfo = &application,
        .enabledExtensionCount = portability ? 1 : 0,
        .ppEnabledExtensionNames =
            (const char *const[]){"VK_KHR_portability_enumeration"},
    };
    const VkResult result = loader.create(&info, NULL, &instance->handle);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
        status = vkz_error_set(err, VKZ_NO_DEVICE, "%s", no_driver);
        goto fail;
    }
    if (result == VK_ERROR_LAYER_NOT_PRESENT) {
        status =
            vkz_error_set(err, VKZ_BAD_INPUT,
                          "a layer named in VK_INSTANCE_LAYERS was not found: unset it, "
                          "or say where it is with VK_ADD_LAYER_PATH");
        goto fail;
    }
    VK(result);
    status = vkz_load_instance(&instance->vk, loader.get, instance->handle, err);
    if (status == VKZ_OK)
        status = devices_enumerate(instance, err);
    if (status != VKZ_OK)
        goto fail;
    *out = instance;
    return VKZ_OK;
fail:
    vkz_instance_destroy(&instance);
    return status;
}

void vkz_instance_destroy(struct vkz_instance **instance)
{
    if (!*instance)
        return;
    if ((*instance)->vk.vkDestroyInstance && !(*instance)->hung)
        (*instance)->vk.vkDestroyInstance((*instance)->handle, NULL);
    free((*instance)->devices);
    free(*instance);
    *instance = NULL;
}

int vkz_instance_device_count(const struct vkz_instance *instance)
{
    return instance->device_count;
}

// ---- a physical device ----------------------------------------------------------------

static const char *type_name(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return "cpu";
    default:
        return "other";
    }
}

static const char *component_name(VkComponentTypeKHR type)
{
    switch ((int)type) {
    case VK_COMPONENT_TYPE_FLOAT16_KHR:
        return "f16";
    case VK_COMPONENT_TYPE_FLOAT32_KHR:
        return "f32";
    case VK_COMPONENT_TYPE_FLOAT64_KHR:
        return "f64";
    case VK_COMPONENT_TYPE_SINT8_KHR:
        return "i8";
    case VK_COMPONENT_TYPE_SINT16_KHR:
        return "i16";
    case VK_COMPONENT_TYPE_SINT32_KHR:
        return "i32";
    case VK_COMPONENT_TYPE_SINT64_KHR:
        return "i64";
    case VK_COMPONENT_TYPE_UINT8_KHR:
        return "u8";
    case VK_COMPONENT_TYPE_UINT16_KHR:
        return "u16";
    case VK_COMPONENT_TYPE_UINT32_KHR:
        return "u32";
    case VK_COMPONENT_TYPE_UINT64_KHR:
        return "u64";
    case 1000141000: // VK_COMPONENT_TYPE_BFLOAT16_KHR
        return "bf16";
    case 1000491002: // VK_COMPONENT_TYPE_FLOAT8_E4M3_EXT
        return "e4m3";
    case 1000491003: // VK_COMPONENT_TYPE_FLOAT8_E5M2_EXT
        return "e5m2";
    default:
        return "unknown";
    }
}

static void info_coopmat(const struct vkz_instance_functions *vk, VkPhysicalDevice device,
                         struct vkz_gpu_info *info)
{
    uint32_t count = 0;
    if (!vk->vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR ||
        vk->vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(device, &count, NULL) < 0)
        return;
    VkCooperativeMatrixPropertiesKHR *list = calloc(count + 1u, sizeof *list);
    if (!list)
        return;
    for (uint32_t i = 0; i < count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (vk->vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(device, &count, list) < 0)
        count = 0;
    for (uint32_t i = 0; i < count && info->coopmat_count < VKZ_MAX_COOPMAT; i++) {
        struct vkz_coopmat_shape *shape = &info->coopmat[info->coopmat_count++];
        shape->m = list[i].MSize;
        shape->n = list[i].NSize;
        shape->k = list[i].KSize;
        shape->saturating = list[i].saturatingAccumulation;
        shape->subgroup_scope = list[i].scope == VK_SCOPE_SUBGROUP_KHR;
        snprintf(shape->types, sizeof shape->types, "%s,%s,%s,%s",
                 component_name(list[i].AType), component_name(list[i].BType),
                 component_name(list[i].CType), component_name(list[i].ResultType));
    }
    free(list);
}

// Every property structure we read; chained where the device knows it.
struct property_set {
    VkPhysicalDeviceProperties2 core;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceSubgroupSizeControlProperties size_control;
    VkPhysicalDeviceShaderCorePropertiesAMD amd;
    VkPhysicalDeviceShaderCoreProperties2AMD amd2;
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv;
    VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM arm;
};

static void chain(struct property_set *set, void *block, VkStructureType type, bool known)
{
    if (!known)
        return;
    VkBaseOutStructure *added = block;
    added->sType = type;
    added->pNext = set->core.pNext;
    set->core.pNext = added;
}

static void properties_query(const struct vkz_instance_functions *vk,
                             VkPhysicalDevice device, uint32_t api,
                             const struct vkz_extensions *extensions,
                             struct property_set *set)
{
    *set = (struct property_set){
        .core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
    };
#define HAVE(name) vkz_extensions_have(extensions, name)
    chain(set, &set->maintenance3,
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, true);
    chain(set, &set->subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
          true);
    chain(set, &set->driver, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
          api >= VK_API_VERSION_1_2 || HAVE("VK_KHR_driver_properties"));
    chain(set, &set->size_control,
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
          api >= VK_API_VERSION_1_3 || HAVE("VK_EXT_subgroup_size_control"));
    chain(set, &set->amd, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD,
          HAVE("VK_AMD_shader_core_properties"));
    chain(set, &set->amd2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD,
          HAVE("VK_AMD_shader_core_properties2"));
    chain(set, &set->nv,
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV,
          HAVE("VK_NV_shader_sm_builtins"));
    chain(set, &set->arm,
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM,
          HAVE("VK_ARM_shader_core_builtins"));
#undef HAVE
    vk->vkGetPhysicalDeviceProperties2(device, &set->core);
}

static uint32_t compute_units(const struct property_set *set, bool is_cpu)
{
    if (is_cpu) {
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        return online > 0 ? (uint32_t)online : 0;
    }
    if (set->nv.shaderSMCount)
        return set->nv.shaderSMCount;
    if (set->amd2.activeComputeUnitCount)
        return set->amd2.activeComputeUnitCount;
    if (set->amd.computeUnitsPerShaderArray)
        return set->amd.shaderEngineCount * set->amd.shaderArraysPerEngineCount *
               set->amd.computeUnitsPerShaderArray;
    return set->arm.shaderCoreCount;
}

static void info_properties(struct vkz_gpu_info *info, const struct property_set *set)
{
    const VkPhysicalDeviceLimits *limits = &set->core.properties.limits;
    snprintf(info->driver_name, sizeof info->driver_name, "%s", set->driver.driverName);
    snprintf(info->driver_info, sizeof info->driver_info, "%s", set->driver.driverInfo);
    info->subgroup_size = set->subgroup.subgroupSize;
    info->subgroup_min = info->subgroup_max = info->subgroup_size;
    if (set->size_control.minSubgroupSize) {
        info->subgroup_min = set->size_control.minSubgroupSize;
        info->subgroup_max = set->size_control.maxSubgroupSize;
    }
    info->max_invocations = limits->maxComputeWorkGroupInvocations;
    for (int i = 0; i < 3; i++) {
        info->max_workgroup_size[i] = limits->maxComputeWorkGroupSize[i];
        info->max_groups[i] = limits->maxComputeWorkGroupCount[i];
    }
    info->max_shared_bytes = limits->maxComputeSharedMemorySize;
    info->max_push_bytes = limits->maxPushConstantsSize;
    info->max_storage_range = limits->maxStorageBufferRange;
    info->offset_alignment = limits->minStorageBufferOffsetAlignment;
    info->timestamp_period_ns = limits->timestampPeriod;
    info->compute_units = compute_units(set, info->is_cpu);
}

// The compute queue: one with timestamps before one without, then the first.
static bool queue_find(const struct vkz_instance_functions *vk, VkPhysicalDevice device,
                       uint32_t *family, uint32_t *timestamp_bits)
{
    VkQueueFamilyProperties list[32];
    uint32_t count = 32;
    vk->vkGetPhysicalDeviceQueueFamilyProperties(device, &count, list);
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        if (!(list[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || !list[i].queueCount)
            continue;
        if (found && (*timestamp_bits || !list[i].timestampValidBits))
            continue;
        found = true;
        *family = i;
        *timestamp_bits = list[i].timestampValidBits;
    }
    return found;
}

static uint64_t local_bytes(const struct vkz_instance_functions *vk,
                            VkPhysicalDevice device)
{
    VkPhysicalDeviceMemoryProperties memory;
    vk->vkGetPhysicalDeviceMemoryProperties(device, &memory);
    uint64_t most = 0;
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            memory.memoryHeaps[i].size > most)
            most = memory.memoryHeaps[i].size;
    return most;
}

void vkz_info_restrict(struct vkz_gpu_info *info, const struct vkz_support *support)
{
    info->subgroup_operations = support->subgroup_operations;
    info->subgroup_size_control = vkz_support_has(support, "subgroupSizeControl");
    info->executable_statistics = vkz_support_has(support, "pipelineExecutableInfo");
    if (!vkz_support_has(support, "CooperativeMatrixKHR"))
        info->coopmat_count = 0;
    vkz_support_list(support, info->features, sizeof info->features);
}

enum vkz_status vkz_physical_query(const struct vkz_instance_functions *vk,
                                   VkPhysicalDevice device, struct vkz_gpu_info *info,
                                   struct vkz_support *support, struct vkz_limits *limits,
                                   struct vkz_error *err)
{
    *info = (struct vkz_gpu_info){0};
    *support = (struct vkz_support){0};
    *limits = (struct vkz_limits){0};
    VkPhysicalDeviceProperties basic;
    vk->vkGetPhysicalDeviceProperties(device, &basic);
    snprintf(info->name, sizeof info->name, "%s", basic.deviceName);
    snprintf(info->type, sizeof info->type, "%s", type_name(basic.deviceType));
    info->api_version = basic.apiVersion;
    info->driver_version = basic.driverVersion;
    info->vendor_id = basic.vendorID;
    info->device_id = basic.deviceID;
    memcpy(info->pipeline_cache_uuid, basic.pipelineCacheUUID, VK_UUID_SIZE);
    info->is_cpu = basic.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    info->memory_bytes = local_bytes(vk, device);
    // A Vulkan 1.0 device is listed but cannot be created; it has no newer queries.
    if (basic.apiVersion < VK_API_VERSION_1_1)
        return VKZ_OK;

    struct vkz_extensions extensions;
    enum vkz_status status = vkz_extensions_query(vk, device, &extensions, err);
    if (status != VKZ_OK)
        return status;
    struct property_set set;
    properties_query(vk, device, basic.apiVersion, &extensions, &set);
    info_properties(info, &set);
    if (!queue_find(vk, device, &limits->queue_family, &info->timestamp_bits))
        limits->queue_family = UINT32_MAX;
    const uint32_t per_stage = basic.limits.maxPerStageDescriptorStorageBuffers;
    const uint32_t per_set = basic.limits.maxDescriptorSetStorageBuffers;
    limits->storage_buffers = per_stage < per_set ? per_stage : per_set;
    limits->max_allocation = set.maintenance3.maxMemoryAllocationSize;
    if (set.size_control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT)
        limits->max_subgroups = set.size_control.maxComputeWorkgroupSubgroups;
    vkz_support_query(vk, device, basic.apiVersion, &extensions, support);
    if (vkz_support_has(support, "CooperativeMatrixKHR"))
        info_coopmat(vk, device, info);
    vkz_info_restrict(info, support);
    vkz_extensions_finish(&extensions);
    return VKZ_OK;
}

enum vkz_status vkz_instance_device_info(struct vkz_instance *instance, int index,
                                         struct vkz_gpu_info *info, struct vkz_error *err)
{
    if (index < 0 || index >= instance->device_count)
        return vkz_error_set(err, VKZ_NO_DEVICE, "no device %d: there are %d, from 0",
                             index, instance->device_count);
    struct vkz_support support;
    struct vkz_limits limits;
    const enum vkz_status status = vkz_physical_query(
        &instance->vk, instance->devices[index], info, &support, &limits, err);
    info->index = index;
    return status;
}

// ---- choosing -------------------------------------------------------------------------

static int rank(const struct vkz_gpu_info *info)
{
    static const char *const order[] = {"cpu", "other", "virtual", "integrated",
                                        "discrete"};
    if (info->api_version < VK_API_VERSION_1_1)
        return -1;
    for (int i = 0; i < 5; i++)
        if (!strcmp(order[i], info->type))
            return i;
    return 0;
}

static bool name_contains(const char *name, const char *part)
{
    return strcasestr(name, part) != NULL;
}

// True when `which` is a plain number below `count`.
static bool parse_index(const char *which, int count, int *index)
{
    char *end;
    const long value = strtol(which, &end, 10);
    if (!isdigit((unsigned char)which[0]) || *end || value >= count)
        return false;
    *index = (int)value;
    return true;
}

static void append(char *text, size_t size, size_t *used, const char *part)
{
    if (*used + 1 < size)
        *used += (size_t)snprintf(text + *used, size - *used, "%s", part);
}

enum vkz_status vkz_instance_choose(struct vkz_instance *instance, const char *which,
                                    int *index, struct vkz_error *err)
{
    if (which && parse_index(which, instance->device_count, index))
        return VKZ_OK;
    // `9` would else be found in a driver's version.
    const bool index_only = which && strlen(which) <= 2 &&
                            strspn(which, "0123456789") == strlen(which);
    char list[384] = "";
    size_t used = 0;
    int best = -1, best_rank = -2;
    struct vkz_gpu_info *info = malloc(sizeof *info);
    if (!info)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for the device list");
    for (int i = 0; i < instance->device_count; i++) {
        const enum vkz_status status = vkz_instance_device_info(instance, i, info, err);
        if (status != VKZ_OK) {
            free(info);
            return status;
        }
        char line[VKZ_NAME_MAX + 16];
        snprintf(line, sizeof line, "%s%d: %s", i ? ", " : "", i, info->name);
        append(list, sizeof list, &used, line);
        if (which && (index_only || !name_contains(info->name, which)))
            continue;
        if (rank(info) > best_rank) {
            best = i;
            best_rank = rank(info);
        }
    }
    free(info);
    if (best < 0)
        return vkz_error_set(err, VKZ_NO_DEVICE, "no device matches `%s`; there is %s",
                             which ? which : "", list);
    *index = best;
    return VKZ_OK;
}
