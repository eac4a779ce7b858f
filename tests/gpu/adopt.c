// SPDX-License-Identifier: MIT
// The way of a program that embeds libvkzoo: its own instance, device, memory and command
// buffers; plans and recording from the library. Only vkzoo/*.h is used of it.
#include <volk.h>

#include "gpu_test.h"

#define VK_OK(call) CHECK((call) == VK_SUCCESS)

// What an engine has anyway.
struct engine {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkBuffer buffer;
    VkDeviceMemory memory;
    char *map;
};

enum { SLOT = 4096 }; // one tensor each, in one buffer

static bool engine_device(struct engine *e)
{
    VkPhysicalDevice devices[16];
    VkQueueFamilyProperties families[16];
    uint32_t count = 16, family_count = 16;
    if (vkEnumeratePhysicalDevices(e->instance, &count, devices) < 0 || !count)
        return false;
    e->physical = devices[0];
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(e->physical, &properties);
    vkGetPhysicalDeviceQueueFamilyProperties(e->physical, &family_count, families);
    while (e->family < family_count &&
           !(families[e->family].queueFlags & VK_QUEUE_COMPUTE_BIT))
        e->family++;
    if (e->family == family_count || properties.apiVersion < VK_API_VERSION_1_1)
        return false;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = e->family,
        .queueCount = 1,
        .pQueuePriorities = (const float[]){1},
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
    };
    VK_OK(vkCreateDevice(e->physical, &info, NULL, &e->device));
    volkLoadDevice(e->device);
    vkGetDeviceQueue(e->device, e->family, 0, &e->queue);
    return true;
}

static void engine_memory(struct engine *e)
{
    const VkBufferCreateInfo buffer = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = 5 * SLOT,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT,
    };
    VK_OK(vkCreateBuffer(e->device, &buffer, NULL, &e->buffer));
    VkMemoryRequirements needs;
    VkPhysicalDeviceMemoryProperties memory;
    vkGetBufferMemoryRequirements(e->device, e->buffer, &needs);
    vkGetPhysicalDeviceMemoryProperties(e->physical, &memory);
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    uint32_t type = 0;
    while (!(needs.memoryTypeBits >> type & 1) ||
           (memory.memoryTypes[type].propertyFlags & host) != host)
        type++;
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = needs.size,
        .memoryTypeIndex = type,
    };
    VK_OK(vkAllocateMemory(e->device, &info, NULL, &e->memory));
    VK_OK(vkBindBufferMemory(e->device, e->buffer, e->memory, 0));
    void *map;
    VK_OK(vkMapMemory(e->device, e->memory, 0, VK_WHOLE_SIZE, 0, &map));
    e->map = map;
}

static void engine_commands(struct engine *e)
{
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = e->family,
    };
    VK_OK(vkCreateCommandPool(e->device, &pool, NULL, &e->pool));
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = e->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VK_OK(vkAllocateCommandBuffers(e->device, &info, &e->commands));
}

static bool engine_create(struct engine *e)
{
    *e = (struct engine){0};
    if (volkInitialize() != VK_SUCCESS || volkGetInstanceVersion() < VK_API_VERSION_1_1)
        return false;
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .apiVersion = VK_API_VERSION_1_1,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
    };
    if (vkCreateInstance(&info, NULL, &e->instance) != VK_SUCCESS)
        return false;
    volkLoadInstanceOnly(e->instance);
    if (!engine_device(e)) {
        vkDestroyInstance(e->instance, NULL);
        return false;
    }
    engine_memory(e);
    engine_commands(e);
    return true;
}

static void engine_destroy(struct engine *e)
{
    vkDestroyCommandPool(e->device, e->pool, NULL);
    vkDestroyBuffer(e->device, e->buffer, NULL);
    vkFreeMemory(e->device, e->memory, NULL);
    vkDestroyDevice(e->device, NULL);
    vkDestroyInstance(e->instance, NULL);
}

static void engine_begin(struct engine *e)
{
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
    };
    VK_OK(vkBeginCommandBuffer(e->commands, &begin));
}

static void engine_submit(struct engine *e)
{
    const VkMemoryBarrier done = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT,
    };
    vkCmdPipelineBarrier(e->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &done, 0, NULL, 0, NULL);
    VK_OK(vkEndCommandBuffer(e->commands));
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &e->commands,
    };
    VK_OK(vkQueueSubmit(e->queue, 1, &submit, VK_NULL_HANDLE));
    VK_OK(vkQueueWaitIdle(e->queue));
}

static void test_run(struct engine *e, struct vkz_gpu *gpu)
{
    const struct vkz_env env = test_case(1000, 1);
    struct vkz_plan *plan;
    struct vkz_binding *binding;
    CHECK_OK(vkz_plan_create(
        gpu, &(struct vkz_plan_params){.kernel = &vkz_kernel_fixture_sum, .env = &env},
        &plan, &err));
    VkDescriptorBufferInfo infos[5];
    for (int i = 0; i < 5; i++) {
        CHECK(vkz_plan_buffer_bytes(plan, i) <= SLOT);
        infos[i] = (VkDescriptorBufferInfo){e->buffer, (VkDeviceSize)i * SLOT, SLOT};
    }
    const float ones = 1, bias = 3;
    for (size_t i = 0; i < 1000; i++)
        memcpy(e->map + 4 * i, &ones, 4);
    memcpy(e->map + SLOT, &bias, 4);
    CHECK_OK(vkz_binding_create(plan, infos, &binding, &err));
    engine_begin(e);
    vkz_record(plan, binding, e->commands);
    engine_submit(e);
    float y;
    memcpy(&y, e->map + 4 * SLOT, 4);
    CHECK(y == 2003);
    vkz_binding_destroy(&binding);
    vkz_plan_destroy(&plan);
}

int main(void)
{
    struct engine engine;
    if (!engine_create(&engine)) {
        printf("skipped: no Vulkan 1.1 device: install mesa-vulkan-drivers\n");
        return GPU_TEST_SKIPPED;
    }
    struct vkz_gpu_adopt_params params = {
        .get_instance_proc_addr = vkGetInstanceProcAddr,
        .instance = engine.instance,
        .physical_device = engine.physical,
        .device = engine.device,
        .features = "Float17",
    };
    struct vkz_gpu *gpu;
    CHECK_SAYS(VKZ_BAD_INPUT, "Float17", vkz_gpu_adopt(&params, &gpu, &err));
    CHECK(!gpu);

    params.features = NULL; // what the device was created with: nothing
    CHECK_OK(vkz_gpu_adopt(&params, &gpu, &err));
    test_run(&engine, gpu);
    const struct vkz_variant *half = vkz_variant_find(&vkz_kernel_fixture_sum, "f16");
    CHECK(!half || !vkz_gpu_can_run(gpu, &vkz_kernel_fixture_sum, half, NULL));
    // Ours to plan and record, not to allocate or submit.
    struct vkz_buffer buffer;
    struct vkz_batch *batch;
    CHECK_STATUS(VKZ_BAD_INPUT,
                 vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE, 16, &buffer, &err));
    CHECK_STATUS(VKZ_BAD_INPUT, vkz_batch_create(gpu, 1, &batch, &err));

    // A second device of our own lives beside it.
    struct vkz_instance *instance = test_instance();
    struct vkz_gpu *own = test_gpu(instance, NULL);
    test_run(&engine, gpu);
    vkz_gpu_destroy(&own);
    vkz_instance_destroy(&instance);
    vkz_gpu_destroy(&gpu);
    engine_destroy(&engine); // the caller's handles are still the caller's
    return 0;
}
