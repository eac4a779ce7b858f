// SPDX-License-Identifier: MIT
// The one table that joins SPIR-V capabilities, Vulkan features and Vulkan extensions.
// A capability that has no row here cannot run; adding a row is all it takes to allow it.
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

// Headers older than 1.4.311 do not declare bfloat16; the numbers are the registry's.
#ifndef VK_KHR_shader_bfloat16
#define VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME "VK_KHR_shader_bfloat16"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR                   \
    ((VkStructureType)1000141000)
typedef struct VkPhysicalDeviceShaderBfloat16FeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 shaderBFloat16Type;
    VkBool32 shaderBFloat16DotProduct;
    VkBool32 shaderBFloat16CooperativeMatrix;
} VkPhysicalDeviceShaderBfloat16FeaturesKHR;
#endif

// Every feature structure we look into. Queried and enabled in the same shape.
struct feature_set {
    VkPhysicalDeviceFeatures2 core;
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDevice8BitStorageFeatures storage8;
    VkPhysicalDeviceShaderFloat16Int8Features arithmetic;
    VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures subgroup_types;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
    VkPhysicalDeviceBufferDeviceAddressFeatures address;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceSubgroupSizeControlFeatures size_control;
    VkPhysicalDeviceShaderSubgroupRotateFeaturesKHR rotate;
    VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR shared_layout;
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat2;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable;
};

// Where each structure comes from. Blocks are in the order of feature_set.
static const struct block {
    size_t offset;
    VkStructureType type;
    const char *extension; // NULL: core in Vulkan 1.1
    uint32_t core;         // version that needs no extension any more; 0: none does
} blocks[] = {
#define BLOCK(member, stype, extension, core)                                            \
    {offsetof(struct feature_set, member), VK_STRUCTURE_TYPE_##stype, extension, core}
    BLOCK(core, PHYSICAL_DEVICE_FEATURES_2, NULL, 0),
    BLOCK(storage16, PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, NULL, 0),
    BLOCK(storage8, PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES, "VK_KHR_8bit_storage",
          VK_API_VERSION_1_2),
    BLOCK(arithmetic, PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
          "VK_KHR_shader_float16_int8", VK_API_VERSION_1_2),
    BLOCK(subgroup_types, PHYSICAL_DEVICE_SHADER_SUBGROUP_EXTENDED_TYPES_FEATURES,
          "VK_KHR_shader_subgroup_extended_types", VK_API_VERSION_1_2),
    BLOCK(memory_model, PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
          "VK_KHR_vulkan_memory_model", VK_API_VERSION_1_2),
    BLOCK(address, PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES,
          "VK_KHR_buffer_device_address", VK_API_VERSION_1_2),
    BLOCK(dot, PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
          "VK_KHR_shader_integer_dot_product", VK_API_VERSION_1_3),
    BLOCK(size_control, PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
          "VK_EXT_subgroup_size_control", VK_API_VERSION_1_3),
    BLOCK(rotate, PHYSICAL_DEVICE_SHADER_SUBGROUP_ROTATE_FEATURES_KHR,
          "VK_KHR_shader_subgroup_rotate", 0),
    BLOCK(shared_layout, PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR,
          "VK_KHR_workgroup_memory_explicit_layout", 0),
    {offsetof(struct feature_set, bfloat16),
     VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR,
     VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME, 0},
    BLOCK(coopmat, PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
          "VK_KHR_cooperative_matrix", 0),
    BLOCK(coopmat2, PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
          "VK_NV_cooperative_matrix2", 0),
    BLOCK(executable, PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
          "VK_KHR_pipeline_executable_properties", 0),
#undef BLOCK
};
enum { BLOCK_COUNT = sizeof blocks / sizeof blocks[0] };

enum row_kind {
    ROW_ALWAYS,     // every Vulkan 1.1 device
    ROW_FEATURE,    // the VkBool32 at `offset`
    ROW_SUBGROUP,   // a property: `operations` in compute shaders
    ROW_DEVICE_ONLY // a feature that no SPIR-V capability names, enabled where offered
};

static const struct row {
    const char *name;  // SPIR-V capability, or the feature's own name (ROW_DEVICE_ONLY)
    const char *alias; // an older or longer spelling of it, or NULL
    const char *need;  // what a person looks for in a driver's report
    enum row_kind kind;
    size_t offset;
    uint32_t operations;
} rows[] = {
#define FEATURE(name, alias, member, bit)                                                \
    {name, alias, #bit, ROW_FEATURE, offsetof(struct feature_set, member.bit), 0}
#define SUBGROUP(name, operation)                                                        \
    {name, NULL, "VK_SUBGROUP_FEATURE_" #operation "_BIT in compute shaders",            \
     ROW_SUBGROUP, 0, VK_SUBGROUP_FEATURE_##operation##_BIT}
#define DEVICE(member, bit)                                                              \
    {#bit, NULL, #bit, ROW_DEVICE_ONLY, offsetof(struct feature_set, member.bit), 0}
    {"Shader", "Matrix", "Vulkan 1.1", ROW_ALWAYS, 0, 0},
    FEATURE("Int16", NULL, core, features.shaderInt16),
    FEATURE("Int64", NULL, core, features.shaderInt64),
    FEATURE("Float64", NULL, core, features.shaderFloat64),
    FEATURE("Float16", NULL, arithmetic, shaderFloat16),
    FEATURE("Int8", NULL, arithmetic, shaderInt8),
    FEATURE("StorageBuffer16BitAccess", "StorageUniformBufferBlock16", storage16,
            storageBuffer16BitAccess),
    FEATURE("UniformAndStorageBuffer16BitAccess", "StorageUniform16", storage16,
            uniformAndStorageBuffer16BitAccess),
    FEATURE("StoragePushConstant16", NULL, storage16, storagePushConstant16),
    FEATURE("StorageBuffer8BitAccess", NULL, storage8, storageBuffer8BitAccess),
    FEATURE("UniformAndStorageBuffer8BitAccess", NULL, storage8,
            uniformAndStorageBuffer8BitAccess),
    FEATURE("StoragePushConstant8", NULL, storage8, storagePushConstant8),
    SUBGROUP("GroupNonUniform", BASIC),
    SUBGROUP("GroupNonUniformVote", VOTE),
    SUBGROUP("GroupNonUniformArithmetic", ARITHMETIC),
    SUBGROUP("GroupNonUniformBallot", BALLOT),
    SUBGROUP("GroupNonUniformShuffle", SHUFFLE),
    SUBGROUP("GroupNonUniformShuffleRelative", SHUFFLE_RELATIVE),
    SUBGROUP("GroupNonUniformClustered", CLUSTERED),
    SUBGROUP("GroupNonUniformQuad", QUAD),
    FEATURE("GroupNonUniformRotateKHR", NULL, rotate, shaderSubgroupRotate),
    FEATURE("DotProduct", "DotProductKHR", dot, shaderIntegerDotProduct),
    FEATURE("DotProductInputAll", "DotProductInputAllKHR", dot, shaderIntegerDotProduct),
    FEATURE("DotProductInput4x8Bit", "DotProductInput4x8BitKHR", dot,
            shaderIntegerDotProduct),
    FEATURE("DotProductInput4x8BitPacked", "DotProductInput4x8BitPackedKHR", dot,
            shaderIntegerDotProduct),
    FEATURE("VulkanMemoryModel", "VulkanMemoryModelKHR", memory_model, vulkanMemoryModel),
    FEATURE("VulkanMemoryModelDeviceScope", "VulkanMemoryModelDeviceScopeKHR",
            memory_model, vulkanMemoryModelDeviceScope),
    FEATURE("PhysicalStorageBufferAddresses", "PhysicalStorageBufferAddressesEXT",
            address, bufferDeviceAddress),
    FEATURE("WorkgroupMemoryExplicitLayoutKHR", NULL, shared_layout,
            workgroupMemoryExplicitLayout),
    FEATURE("WorkgroupMemoryExplicitLayout8BitAccessKHR", NULL, shared_layout,
            workgroupMemoryExplicitLayout8BitAccess),
    FEATURE("WorkgroupMemoryExplicitLayout16BitAccessKHR", NULL, shared_layout,
            workgroupMemoryExplicitLayout16BitAccess),
    FEATURE("BFloat16TypeKHR", NULL, bfloat16, shaderBFloat16Type),
    FEATURE("BFloat16DotProductKHR", NULL, bfloat16, shaderBFloat16DotProduct),
    FEATURE("BFloat16CooperativeMatrixKHR", NULL, bfloat16,
            shaderBFloat16CooperativeMatrix),
    FEATURE("CooperativeMatrixKHR", NULL, coopmat, cooperativeMatrix),
    FEATURE("CooperativeMatrixReductionsNV", NULL, coopmat2, cooperativeMatrixReductions),
    FEATURE("CooperativeMatrixConversionsNV", NULL, coopmat2,
            cooperativeMatrixConversions),
    FEATURE("CooperativeMatrixPerElementOperationsNV", NULL, coopmat2,
            cooperativeMatrixPerElementOperations),
    FEATURE("CooperativeMatrixTensorAddressingNV", "TensorAddressingNV", coopmat2,
            cooperativeMatrixTensorAddressing),
    FEATURE("CooperativeMatrixBlockLoadsNV", NULL, coopmat2, cooperativeMatrixBlockLoads),
    DEVICE(coopmat2, cooperativeMatrixFlexibleDimensions),
    DEVICE(coopmat2, cooperativeMatrixWorkgroupScope),
    DEVICE(subgroup_types, shaderSubgroupExtendedTypes),
    DEVICE(size_control, subgroupSizeControl),
    DEVICE(size_control, computeFullSubgroups),
    DEVICE(executable, pipelineExecutableInfo),
#undef FEATURE
#undef SUBGROUP
#undef DEVICE
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };
_Static_assert(ROW_COUNT <= 64 && BLOCK_COUNT <= 64, "vkz_support holds 64 bits each");

// SPIR-V extensions. Most bring capabilities, which are checked for themselves, so it is
// enough that the structure they belong to is enabled; NULL: part of Vulkan 1.1.
static const struct {
    const char *name;
    const char *capability; // a row of the block it belongs to
} spirv_extensions[] = {
    {"SPV_KHR_storage_buffer_storage_class", NULL},
    {"SPV_KHR_variable_pointers", NULL},
    {"SPV_KHR_device_group", NULL},
    {"SPV_KHR_16bit_storage", NULL},
    {"SPV_KHR_8bit_storage", "StorageBuffer8BitAccess"},
    {"SPV_KHR_vulkan_memory_model", "VulkanMemoryModel"},
    {"SPV_KHR_physical_storage_buffer", "PhysicalStorageBufferAddresses"},
    {"SPV_EXT_physical_storage_buffer", "PhysicalStorageBufferAddresses"},
    {"SPV_KHR_integer_dot_product", "DotProduct"},
    {"SPV_KHR_subgroup_rotate", "GroupNonUniformRotateKHR"},
    {"SPV_KHR_workgroup_memory_explicit_layout", "WorkgroupMemoryExplicitLayoutKHR"},
    {"SPV_KHR_bfloat16", "BFloat16TypeKHR"},
    {"SPV_KHR_cooperative_matrix", "CooperativeMatrixKHR"},
    {"SPV_NV_cooperative_matrix2", "CooperativeMatrixReductionsNV"},
    {"SPV_NV_tensor_addressing", "CooperativeMatrixTensorAddressingNV"},
};

static const char unknown[] =
    "needs %s, which vkzoo cannot enable on any device: add it to host/gpu/features.c";

static const struct row *row_find(const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (!strcmp(rows[i].name, name) ||
            (rows[i].alias && !strcmp(rows[i].alias, name)))
            return &rows[i];
    return NULL;
}

static int row_block(const struct row *row)
{
    int found = 0;
    for (int i = 0; i < BLOCK_COUNT; i++)
        if (blocks[i].offset <= row->offset)
            found = i;
    return found;
}

static bool row_is_feature(const struct row *row)
{
    return row->kind == ROW_FEATURE || row->kind == ROW_DEVICE_ONLY;
}

static bool has_row(const struct vkz_support *support, const struct row *row)
{
    return support->rows >> (row - rows) & 1;
}

static VkBool32 *set_bit(struct feature_set *set, size_t offset)
{
    return (VkBool32 *)(void *)((char *)set + offset);
}

// Zeroes the set and chains the blocks in `mask` (block 0 always).
static void set_chain(struct feature_set *set, uint64_t mask)
{
    memset(set, 0, sizeof *set);
    VkBaseOutStructure *last = NULL;
    for (int i = 0; i < BLOCK_COUNT; i++) {
        if (i > 0 && !(mask >> i & 1))
            continue;
        VkBaseOutStructure *block = (void *)((char *)set + blocks[i].offset);
        block->sType = blocks[i].type;
        if (last)
            last->pNext = block;
        last = block;
    }
}

enum vkz_status vkz_extensions_query(const struct vkz_instance_functions *vk,
                                     VkPhysicalDevice device, struct vkz_extensions *out,
                                     struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    *out = (struct vkz_extensions){0};
    VkResult result = VK_INCOMPLETE;
    // The list may grow between the two calls; VK_INCOMPLETE asks for another round.
    for (int round = 0; round < 4 && result == VK_INCOMPLETE; round++) {
        VK(vk->vkEnumerateDeviceExtensionProperties(device, NULL, &out->count, NULL));
        free(out->list);
        out->list = calloc(out->count + 1u, sizeof *out->list);
        if (!out->list) {
            out->count = 0;
            return vkz_error_set(err, VKZ_FAILED, "out of memory for the extension list");
        }
        result = vk->vkEnumerateDeviceExtensionProperties(device, NULL, &out->count,
                                                          out->list);
        VK(result);
    }
    return VKZ_OK;
fail:
    vkz_extensions_finish(out);
    return status;
}

void vkz_extensions_finish(struct vkz_extensions *extensions)
{
    free(extensions->list);
    *extensions = (struct vkz_extensions){0};
}

bool vkz_extensions_have(const struct vkz_extensions *extensions, const char *name)
{
    for (uint32_t i = 0; i < extensions->count; i++)
        if (!strcmp(extensions->list[i].extensionName, name))
            return true;
    return false;
}

static bool block_offered(const struct block *block, uint32_t api_version,
                          const struct vkz_extensions *extensions)
{
    return !block->extension || (block->core && api_version >= block->core) ||
           vkz_extensions_have(extensions, block->extension);
}

void vkz_support_query(const struct vkz_instance_functions *vk, VkPhysicalDevice device,
                       uint32_t api_version, const struct vkz_extensions *extensions,
                       struct vkz_support *out)
{
    *out = (struct vkz_support){0};
    for (int i = 0; i < BLOCK_COUNT; i++)
        if (block_offered(&blocks[i], api_version, extensions))
            out->blocks |= UINT64_C(1) << i;

    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &subgroup,
    };
    vk->vkGetPhysicalDeviceProperties2(device, &properties);
    if (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT)
        out->subgroup_operations = subgroup.supportedOperations;

    struct feature_set set;
    set_chain(&set, out->blocks);
    vk->vkGetPhysicalDeviceFeatures2(device, &set.core);
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &rows[i];
        const bool has =
            row->kind == ROW_ALWAYS ||
            (row->kind == ROW_SUBGROUP && (out->subgroup_operations & row->operations)) ||
            (row_is_feature(row) && *set_bit(&set, row->offset));
        if (has)
            out->rows |= UINT64_C(1) << i;
    }
}

void vkz_support_core(struct vkz_support *support)
{
    support->subgroup_operations &= VK_SUBGROUP_FEATURE_BASIC_BIT;
    support->blocks = 0;
    support->rows = 0;
    for (int i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == ROW_ALWAYS ||
            (rows[i].kind == ROW_SUBGROUP &&
             (support->subgroup_operations & rows[i].operations)))
            support->rows |= UINT64_C(1) << i;
}

// Copies the name at *list, up to the next comma, and steps over it; false at the end.
static bool list_next(const char **list, char *name, size_t size)
{
    const char *text = *list;
    while (*text == ',' || *text == ' ')
        text++;
    const size_t length = strcspn(text, ", ");
    if (!length)
        return false;
    snprintf(name, size, "%.*s", (int)length, text);
    *list = text + length;
    return true;
}

bool vkz_list_has(const char *list, const char *name)
{
    char word[128];
    while (list && list_next(&list, word, sizeof word))
        if (!strcmp(word, name))
            return true;
    return false;
}

enum vkz_status vkz_support_parse(const char *features, struct vkz_support *out,
                                  struct vkz_error *err)
{
    char name[128];
    out->blocks = 0;
    // Subgroup operations are properties: nobody has to enable them.
    for (int i = 0; i < ROW_COUNT; i++)
        if (row_is_feature(&rows[i]))
            out->rows &= ~(UINT64_C(1) << i);
    while (features && list_next(&features, name, sizeof name)) {
        const struct row *row = row_find(name);
        if (!row)
            return vkz_error_set(
                err, VKZ_BAD_INPUT,
                "features: `%s` is no SPIR-V capability that vkzoo knows; "
                "leave it out or spell it as in \"Float16,Int8\"",
                name);
        if (!row_is_feature(row))
            continue;
        out->rows |= UINT64_C(1) << (row - rows);
        out->blocks |= UINT64_C(1) << row_block(row);
    }
    return VKZ_OK;
}

bool vkz_support_has(const struct vkz_support *support, const char *name)
{
    const struct row *row = row_find(name);
    assert(row && "a name of the table");
    return row && has_row(support, row);
}

void vkz_support_list(const struct vkz_support *support, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < ROW_COUNT; i++) {
        if (rows[i].kind == ROW_DEVICE_ONLY || !has_row(support, &rows[i]))
            continue;
        if (used + strlen(rows[i].name) + 2 > size)
            return;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? "," : "",
                                 rows[i].name);
    }
}

static bool extension_runs(const struct vkz_support *support, const char *name,
                           char *need, size_t need_size)
{
    for (size_t i = 0; i < sizeof spirv_extensions / sizeof spirv_extensions[0]; i++) {
        if (strcmp(spirv_extensions[i].name, name))
            continue;
        if (!spirv_extensions[i].capability)
            return true;
        const int block = row_block(row_find(spirv_extensions[i].capability));
        snprintf(need, need_size, "needs %s (%s), which the device lacks", name,
                 blocks[block].extension);
        return support->blocks >> block & 1;
    }
    snprintf(need, need_size, unknown, name);
    return false;
}

bool vkz_support_runs(const struct vkz_support *support, const char *capabilities,
                      const char *extensions, char *need, size_t need_size)
{
    char name[128];
    while (capabilities && list_next(&capabilities, name, sizeof name)) {
        const struct row *row = row_find(name);
        if (!row) {
            snprintf(need, need_size, unknown, name);
            return false;
        }
        if (!has_row(support, row)) {
            const char *dot = strchr(row->need, '.'); // "features.shaderInt16"
            snprintf(need, need_size, "needs %s (%s), which the device lacks", name,
                     dot && row_is_feature(row) ? dot + 1 : row->need);
            return false;
        }
    }
    while (extensions && list_next(&extensions, name, sizeof name))
        if (!extension_runs(support, name, need, need_size))
            return false;
    return true;
}

enum vkz_status vkz_device_create(const struct vkz_instance_functions *vk,
                                  VkPhysicalDevice physical, uint32_t api_version,
                                  const struct vkz_extensions *extensions,
                                  const struct vkz_support *support,
                                  uint32_t queue_family, VkDevice *out,
                                  struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    uint64_t needed = 0;
    for (int i = 0; i < ROW_COUNT; i++)
        if (row_is_feature(&rows[i]) && has_row(support, &rows[i]))
            needed |= UINT64_C(1) << row_block(&rows[i]);

    struct feature_set set;
    set_chain(&set, needed);
    for (int i = 0; i < ROW_COUNT; i++)
        if (row_is_feature(&rows[i]) && has_row(support, &rows[i]))
            *set_bit(&set, rows[i].offset) = VK_TRUE;

    const char *names[BLOCK_COUNT + 1];
    uint32_t name_count = 0;
    for (int i = 0; i < BLOCK_COUNT; i++) {
        const bool core = !blocks[i].extension ||
                          (blocks[i].core && api_version >= blocks[i].core);
        if ((needed >> i & 1) && !core)
            names[name_count++] = blocks[i].extension;
    }
    // A layered implementation that lists this one requires it to be enabled.
    if (vkz_extensions_have(extensions, "VK_KHR_portability_subset"))
        names[name_count++] = "VK_KHR_portability_subset";

    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = queue_family,
        .queueCount = 1,
        .pQueuePriorities = (const float[]){1.0f},
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &set.core,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = name_count,
        .ppEnabledExtensionNames = names,
    };
    VK(vk->vkCreateDevice(physical, &info, NULL, out));
fail:
    return status;
}
