// SPDX-License-Identifier: MIT
// A whole program that runs one of the zoo's kernels in its own command buffer: its own
// instance, device and memory; from libvkzoo only the plan, the descriptor sets and the
// recording. Of the project it includes vkzoo/*.h alone.
//
//   cc consumer.c $(pkg-config --cflags --libs --static vkzoo) -lvulkan
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vulkan/vulkan.h>

#include <vkzoo/plan.h>

// c = a bᵀ for a [M, K] and b [N, K].
enum { M = 7, N = 33, K = 65 };
// Offsets into the program's one buffer: as far apart as any device wants them.
enum { OFFSET_A = 0, OFFSET_B = 4096, OFFSET_C = 16384, BUFFER_BYTES = 20480 };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void skip(const char *why)
{
    printf("skipped: %s\n", why);
    exit(77);
}

#define VK(call)                                                                        \
    do {                                                                                \
        if ((call) != VK_SUCCESS)                                                       \
            fail(#call, "Vulkan error");                                                \
    } while (0)
#define ZOO(call)                                                                       \
    do {                                                                                \
        struct vkz_error err = {.message = "no message"};                               \
        if ((call) != VKZ_OK)                                                           \
            fail(#call, err.message);                                                   \
    } while (0)

// --- what a program that computes with Vulkan has anyway -----------------------------

struct engine {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    uint32_t family;
    VkQueue queue;
    VkBuffer buffer;
    VkDeviceMemory memory;
    char *map;
    VkCommandPool pool;
    VkCommandBuffer commands;
};

static void choose_device(struct engine *e)
{
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    uint32_t count = 1, families = 16;
    VkQueueFamilyProperties family[16];
    if (vkCreateInstance(&info, NULL, &e->instance) != VK_SUCCESS ||
        vkEnumeratePhysicalDevices(e->instance, &count, &e->physical) < 0 || count == 0)
        skip("no Vulkan driver: install mesa-vulkan-drivers or the GPU vendor's");
    vkGetPhysicalDeviceQueueFamilyProperties(e->physical, &families, family);
    while (e->family < families && !(family[e->family].queueFlags & VK_QUEUE_COMPUTE_BIT))
        e->family++;
    if (e->family == families)
        skip("the first Vulkan device has no compute queue");
}

static void create_device(struct engine *e)
{
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = e->family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue};
    VK(vkCreateDevice(e->physical, &info, NULL, &e->device));
    vkGetDeviceQueue(e->device, e->family, 0, &e->queue);
}

static void create_memory(struct engine *e)
{
    const VkBufferCreateInfo buffer = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                       .size = BUFFER_BYTES,
                                       .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkMemoryRequirements needs;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t type = 0;
    void *map;
    VK(vkCreateBuffer(e->device, &buffer, NULL, &e->buffer));
    vkGetBufferMemoryRequirements(e->device, e->buffer, &needs);
    vkGetPhysicalDeviceMemoryProperties(e->physical, &memory);
    // Every device has such a type for buffers.
    while (!(needs.memoryTypeBits >> type & 1) ||
           (memory.memoryTypes[type].propertyFlags & wanted) != wanted)
        type++;
    const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .allocationSize = needs.size,
                                       .memoryTypeIndex = type};
    VK(vkAllocateMemory(e->device, &info, NULL, &e->memory));
    VK(vkBindBufferMemory(e->device, e->buffer, e->memory, 0));
    VK(vkMapMemory(e->device, e->memory, 0, VK_WHOLE_SIZE, 0, &map));
    e->map = map;
}

static void begin_commands(struct engine *e)
{
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = e->family,
    };
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VK(vkCreateCommandPool(e->device, &pool, NULL, &e->pool));
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = e->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VK(vkAllocateCommandBuffers(e->device, &info, &e->commands));
    VK(vkBeginCommandBuffer(e->commands, &begin));
}

static void submit(struct engine *e)
{
    const VkMemoryBarrier done = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                  .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .commandBufferCount = 1,
                               .pCommandBuffers = &e->commands};
    vkCmdPipelineBarrier(e->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &done, 0, NULL, 0, NULL);
    VK(vkEndCommandBuffer(e->commands));
    VK(vkQueueSubmit(e->queue, 1, &info, VK_NULL_HANDLE));
    VK(vkQueueWaitIdle(e->queue));
}

static void destroy_engine(struct engine *e)
{
    vkDestroyCommandPool(e->device, e->pool, NULL);
    vkDestroyBuffer(e->device, e->buffer, NULL);
    vkFreeMemory(e->device, e->memory, NULL);
    vkDestroyDevice(e->device, NULL);
    vkDestroyInstance(e->instance, NULL);
}

// --- the zoo's part ------------------------------------------------------------------

static struct vkz_plan *plan_gemm(struct vkz_gpu *gpu)
{
    const struct vkz_kernel *kernel = vkz_kernel_find("gemm_naive");
    struct vkz_env env = {0};
    struct vkz_plan *plan;
    if (!kernel)
        skip("this build of libvkzoo has no gemm_naive");
    vkz_env_set(&env, "m", M);
    vkz_env_set(&env, "n", N);
    vkz_env_set(&env, "k", K);
    vkz_env_set(&env, "alpha", 1);
    vkz_env_set(&env, "beta", 0);
    vkz_env_set_axis(&env, "TRANS", 0, "nt nn tn");
    vkz_env_set_axis(&env, "EPILOGUE", 0,
                     "none bias bias_relu bias_gelu bias_silu residual scale_row "
                     "scale_col");
    ZOO(vkz_plan_create(gpu,
                        &(struct vkz_plan_params){.kernel = kernel, .variant = "f32",
                                                  .env = &env},
                        &plan, &err));
    printf("%s: %s\n", kernel->name, vkz_plan_specialization(plan));
    return plan;
}

// The tensors by name, in the order the kernel binds them.
static struct vkz_binding *bind_gemm(struct vkz_plan *plan, VkBuffer buffer)
{
    const struct vkz_bind *binds = vkz_kernel_find("gemm_naive")->binds;
    VkDescriptorBufferInfo infos[16] = {0};
    struct vkz_binding *binding;
    for (int i = 0; i < vkz_plan_bind_count(plan); i++) {
        const size_t bytes = vkz_plan_buffer_bytes(plan, i);
        const VkDeviceSize offset = strcmp(binds[i].name, "a") == 0   ? OFFSET_A
                                    : strcmp(binds[i].name, "b") == 0 ? OFFSET_B
                                                                      : OFFSET_C;
        if (bytes) // 0: not there in this case
            infos[i] = (VkDescriptorBufferInfo){buffer, offset, bytes};
    }
    ZOO(vkz_binding_create(plan, infos, &binding, &err));
    return binding;
}

static void fill(const struct engine *e)
{
    float *a = (float *)(void *)(e->map + OFFSET_A);
    float *b = (float *)(void *)(e->map + OFFSET_B);
    for (int i = 0; i < M * K; i++)
        a[i] = (float)(i * 7 % 31 - 15) / 16;
    for (int i = 0; i < N * K; i++)
        b[i] = (float)(i * 5 % 29 - 14) / 16;
}

static double largest_error(const struct engine *e)
{
    const float *a = (const float *)(const void *)(e->map + OFFSET_A);
    const float *b = (const float *)(const void *)(e->map + OFFSET_B);
    const float *c = (const float *)(const void *)(e->map + OFFSET_C);
    double worst = 0;
    for (int i = 0; i < M * N; i++) {
        double sum = 0;
        for (int k = 0; k < K; k++)
            sum += (double)a[i / N * K + k] * (double)b[i % N * K + k];
        const double error = fabs((double)c[i] - sum);
        worst = error <= worst ? worst : error; // NaN too
    }
    return worst;
}

int main(void)
{
    struct engine e = {0};
    struct vkz_gpu *gpu;
    choose_device(&e);
    create_device(&e);
    create_memory(&e);
    fill(&e);

    ZOO(vkz_gpu_adopt(
        &(struct vkz_gpu_adopt_params){
            .get_instance_proc_addr = vkGetInstanceProcAddr,
            .instance = e.instance,
            .physical_device = e.physical,
            .device = e.device,
            .features = NULL, // what the device was created with: nothing
        },
        &gpu, &err));
    struct vkz_plan *plan = plan_gemm(gpu);
    struct vkz_binding *binding = bind_gemm(plan, e.buffer);

    begin_commands(&e);
    vkz_record(plan, binding, e.commands); // yours may be before and behind it
    submit(&e);

    const double error = largest_error(&e);
    printf("largest error %.3g\n", error);
    vkz_binding_destroy(&binding);
    vkz_plan_destroy(&plan);
    vkz_gpu_destroy(&gpu);
    destroy_engine(&e);
    return error < 1e-5 ? 0 : 1;
}
