// SPDX-License-Identifier: MIT
// What is said of a device, how one is chosen, memory and the clock.
#include <math.h>

#include "gpu_test.h"

static void test_info(struct vkz_instance *instance)
{
    struct vkz_gpu_info *info = malloc(sizeof *info);
    CHECK(info && vkz_instance_device_count(instance) > 0);
    for (int i = 0; i < vkz_instance_device_count(instance); i++) {
        CHECK_OK(vkz_instance_device_info(instance, i, info, &err));
        CHECK(info->index == i && info->name[0] && info->type[0]);
        if (info->api_version < VK_API_VERSION_1_1)
            continue;
        // The minimum that Vulkan requires of every device.
        CHECK(info->max_invocations >= 128 && info->max_shared_bytes >= 16384);
        CHECK(info->max_push_bytes >= 128 && info->max_groups[0] >= 65535);
        CHECK(info->subgroup_size >= 1 && info->subgroup_min <= info->subgroup_max);
        CHECK(info->offset_alignment > 0 && info->offset_alignment <= 256);
        CHECK(strstr(info->features, "Shader"));
        CHECK(!info->is_cpu || (!strcmp(info->type, "cpu") && info->compute_units > 0));
        for (int c = 0; c < info->coopmat_count; c++)
            CHECK(info->coopmat[c].m && info->coopmat[c].n && info->coopmat[c].k);
    }
    CHECK_STATUS(VKZ_NO_DEVICE, vkz_instance_device_info(instance, 99, info, &err));
    free(info);
}

static void test_choose(struct vkz_instance *instance)
{
    int index = -1, again = -1;
    struct vkz_gpu_info *info = malloc(sizeof *info);
    CHECK(info);
    CHECK_OK(vkz_instance_choose(instance, NULL, &index, &err));
    CHECK_OK(vkz_instance_device_info(instance, index, info, &err));
    CHECK_OK(vkz_instance_choose(instance, "0", &again, &err));
    CHECK(again == 0);
    info->name[4] = '\0'; // a part of the name, in the other letter case
    for (char *c = info->name; *c; c++)
        *c ^= (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ? 0x20 : 0;
    CHECK_OK(vkz_instance_choose(instance, info->name, &again, &err));
    CHECK_SAYS(VKZ_NO_DEVICE, "there is 0: ",
               vkz_instance_choose(instance, "no such device", &again, &err));
    free(info);
}

static void test_restricted(struct vkz_instance *instance)
{
    struct vkz_gpu *gpu = test_gpu(
        instance, &(struct vkz_gpu_params){.floor_limits = true, .core_only = true});
    const struct vkz_gpu_info *info = vkz_gpu_get_info(gpu);
    CHECK(info->max_invocations == 128 && info->max_workgroup_size[2] == 64);
    CHECK(info->max_shared_bytes == 16384 && info->max_push_bytes == 128);
    CHECK(info->max_storage_range == 128 << 20);
    CHECK(!strcmp(info->features, "Shader,GroupNonUniform"));
    CHECK(!info->subgroup_size_control && !info->coopmat_count);
    struct vkz_error err;
    CHECK(vkz_gpu_can_run(gpu, &vkz_kernel_fixture_sum,
                          vkz_variant_find(&vkz_kernel_fixture_sum, "f32"), &err));
    const struct vkz_variant *half = vkz_variant_find(&vkz_kernel_fixture_sum, "f16");
    CHECK(!half || !vkz_gpu_can_run(gpu, &vkz_kernel_fixture_sum, half, &err));
    CHECK(!half || strstr(err.message, "16"));
    vkz_gpu_destroy(&gpu);
    CHECK(!gpu);
    vkz_gpu_destroy(&gpu);
}

// Writes, fills and reads at odd places; `staged` hides the mapping, as a GPU may.
static void test_buffer(struct vkz_gpu *gpu, bool staged)
{
    enum { BYTES = 20 << 20 }; // more than one staging buffer
    unsigned char *data = malloc(BYTES), *back = malloc(BYTES);
    CHECK(data && back);
    for (int i = 0; i < BYTES; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    struct vkz_buffer buffer;
    CHECK_OK(vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE, BYTES - 3, &buffer, &err));
    if (staged)
        buffer.map = NULL;
    CHECK_OK(vkz_buffer_fill(gpu, &buffer, 0, BYTES - 4, 0x7fc0ffee, &err));
    CHECK_OK(vkz_buffer_write(gpu, &buffer, 5, data, BYTES - 16, &err));
    CHECK_OK(vkz_buffer_read(gpu, &buffer, 5, back, BYTES - 16, &err));
    CHECK(!memcmp(data, back, BYTES - 16));
    CHECK_OK(vkz_buffer_read(gpu, &buffer, 0, back, 5, &err));
    CHECK(!memcmp(back, "\xee\xff\xc0\x7f\xee", 5));
    CHECK_OK(vkz_buffer_fill(gpu, &buffer, 8, 4, 0x01020304, &err));
    CHECK_OK(vkz_buffer_read(gpu, &buffer, 7, back, 6, &err));
    CHECK(back[0] == data[2] && !memcmp(back + 1, "\4\3\2\1", 4) && back[5] == data[7]);
    vkz_buffer_destroy(gpu, &buffer);
    CHECK(!buffer.handle);
    vkz_buffer_destroy(gpu, &buffer);
    free(data);
    free(back);
}

static void test_memory(struct vkz_gpu *gpu)
{
    uint64_t now = 1, peak = 0;
    vkz_gpu_memory(gpu, &now, &peak);
    CHECK(now == 0);
    test_buffer(gpu, false);
    test_buffer(gpu, true);
    vkz_gpu_memory(gpu, &now, &peak);
    CHECK(peak >= (20 << 20) - 3 && now < 20 << 20); // the staging buffer stays
    struct vkz_buffer huge;
    CHECK_SAYS(VKZ_FAILED, "MiB",
               vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE, (size_t)1 << 46, &huge, &err));
    CHECK(!huge.handle && !huge.memory);
}

static void test_batch(struct vkz_gpu *gpu)
{
    struct vkz_buffer from, to;
    struct vkz_batch *batch;
    uint32_t word = 0;
    CHECK_OK(vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE, 4096, &from, &err));
    CHECK_OK(vkz_buffer_create(gpu, VKZ_BUFFER_STAGING, 4096, &to, &err));
    CHECK(to.map);
    CHECK_OK(vkz_buffer_fill(gpu, &from, 0, 4096, 77, &err));
    CHECK_OK(vkz_batch_create(gpu, 8, &batch, &err));
    for (int round = 0; round < 2; round++) {
        CHECK_OK(vkz_batch_begin(batch, &err));
        vkz_batch_stamp(batch, 0);
        vkz_batch_copy(batch, &from, &to, 4096);
        vkz_batch_stamp(batch, 5);
        CHECK_OK(vkz_batch_run(batch, 0, &err));
        memcpy(&word, (char *)to.map + 4092, 4);
        CHECK(word == 77);
        CHECK(vkz_batch_host_ns(batch) > 0);
        CHECK(isnan(vkz_batch_elapsed_ns(batch, 0, 1))); // 1 was never stamped
        if (vkz_gpu_get_info(gpu)->timestamp_bits)
            CHECK(vkz_batch_elapsed_ns(batch, 0, 5) >= 0);
    }
    vkz_batch_destroy(&batch);
    vkz_batch_destroy(&batch);
    vkz_buffer_destroy(gpu, &from);
    vkz_buffer_destroy(gpu, &to);
}

static void test_clock(struct vkz_gpu *gpu)
{
    struct vkz_clock clock;
    CHECK_OK(vkz_clock_test(gpu, &clock, &err));
    printf(
        "clock: usable %d%s%s, step %g ns, empty pair %g ns, drift %g ppm over %g ms\n",
        clock.usable, clock.reason[0] ? ": " : "", clock.reason, clock.step_ns,
        clock.empty_ns, clock.drift_ppm, clock.span_ms);
    CHECK(clock.usable == !clock.reason[0]);
    if (!clock.usable)
        return;
    CHECK(clock.monotonic && clock.step_ns > 0 && clock.empty_ns >= 0);
    CHECK(clock.span_ms >= 50 && fabs(clock.drift_ppm) < 1e5);
}

int main(void)
{
    struct vkz_instance *instance = test_instance();
    test_info(instance);
    test_choose(instance);
    test_restricted(instance);
    struct vkz_gpu *gpu = test_gpu(instance, NULL);
    test_memory(gpu);
    test_batch(gpu);
    test_clock(gpu);
    vkz_gpu_destroy(&gpu);
    vkz_instance_destroy(&instance);
    return 0;
}
