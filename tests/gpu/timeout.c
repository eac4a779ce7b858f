// SPDX-License-Identifier: MIT
// A submission that does not end in time: a status in time, an unusable device that can
// be destroyed all the same, and a new device of the same instance that works.
#include "gpu_test.h"

enum { REPEATS = 200, ELEMENTS = 1 << 16 };

struct job {
    struct vkz_plan *plan;
    struct vkz_buffer buffers[5];
    struct vkz_binding *binding;
    struct vkz_batch *batch;
};

static void job_create(struct job *job, struct vkz_gpu *gpu)
{
    const struct vkz_env env = test_case(ELEMENTS, 1);
    VkDescriptorBufferInfo infos[5];
    *job = (struct job){0};
    CHECK_OK(vkz_plan_create(
        gpu, &(struct vkz_plan_params){.kernel = &vkz_kernel_fixture_sum, .env = &env},
        &job->plan, &err));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE,
                                   vkz_plan_buffer_bytes(job->plan, i), &job->buffers[i],
                                   &err));
        CHECK_OK(
            vkz_buffer_fill(gpu, &job->buffers[i], 0, job->buffers[i].bytes, 0, &err));
        infos[i] = (VkDescriptorBufferInfo){job->buffers[i].handle, 0, VK_WHOLE_SIZE};
    }
    CHECK_OK(vkz_binding_create(job->plan, infos, &job->binding, &err));
    CHECK_OK(vkz_batch_create(gpu, 0, &job->batch, &err));
}

static void job_record(struct job *job, int repeats)
{
    CHECK_OK(vkz_batch_begin(job->batch, &err));
    for (int i = 0; i < repeats; i++) {
        vkz_record(job->plan, job->binding, vkz_batch_command_buffer(job->batch));
        vkz_batch_barrier(job->batch);
    }
}

static void job_destroy(struct job *job, struct vkz_gpu *gpu)
{
    vkz_binding_destroy(&job->binding);
    vkz_plan_destroy(&job->plan);
    for (int i = 0; i < 5; i++)
        vkz_buffer_destroy(gpu, &job->buffers[i]);
    vkz_batch_destroy(&job->batch);
}

int main(void)
{
    struct vkz_instance *instance = test_instance();
    struct vkz_gpu *gpu = test_gpu(instance, NULL);
    struct job job;
    job_create(&job, gpu);
    job_record(&job, REPEATS);
    const double start = vkz_host_ns();
    CHECK_SAYS(VKZ_DEVICE_LOST, "did not finish", vkz_batch_run(job.batch, 1000, &err));
    CHECK(vkz_host_ns() - start < 5e9);
    CHECK_SAYS(VKZ_DEVICE_LOST, "create the device again",
               vkz_batch_begin(job.batch, &err));
    job_destroy(&job, gpu);
    vkz_gpu_destroy(&gpu);

    gpu = test_gpu(instance, NULL);
    job_create(&job, gpu);
    job_record(&job, 1);
    CHECK_OK(vkz_batch_run(job.batch, 0, &err));
    job_destroy(&job, gpu);
    vkz_gpu_destroy(&gpu);
    vkz_instance_destroy(&instance);
    return 0;
}
