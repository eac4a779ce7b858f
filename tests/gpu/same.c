// SPDX-License-Identifier: MIT
// Kernels that must agree bit for bit on one device (class `same` of the specifications):
// a fused op, and the two ops that it fuses after each other.
#include "gpu_test.h"
#include "zoo/case.h"
#include "zoo/data.h"

// A tensor's bytes under a name: what a run got or gave.
struct value {
    const char *name;
    void *bytes;
    size_t size;
};

enum { MAX_VALUES = 64 };

struct values {
    struct value items[MAX_VALUES];
    int count;
};

static const struct value *find(const struct values *values, const char *name)
{
    for (int i = 0; i < values->count; i++) {
        if (!strcmp(values->items[i].name, name))
            return &values->items[i];
    }
    return NULL;
}

static void add(struct values *values, const char *name, const void *bytes, size_t size)
{
    CHECK(values->count < MAX_VALUES);
    struct value *item = &values->items[values->count++];
    *item = (struct value){name, malloc(size), size};
    CHECK(item->bytes);
    memcpy(item->bytes, bytes, size);
}

static void clear(struct values *values)
{
    for (int i = 0; i < values->count; i++)
        free(values->items[i].bytes);
    values->count = 0;
}

// `name` as its other name in "a=b c=d", or itself.
static const char *renamed(const char *pairs, const char *name, char out[64])
{
    const size_t size = strlen(name);
    for (const char *at = pairs; at && *at; at += strcspn(at, " "), at += *at == ' ') {
        if (!strncmp(at, name, size) && at[size] == '=') {
            snprintf(out, 64, "%.*s", (int)strcspn(at + size + 1, " "), at + size + 1);
            return out;
        }
    }
    return name;
}

// Runs the kernel on inputs that are found in `in` by their names, which `names` may
// change, and puts its outputs into `out`.
static void run(struct vkz_gpu *gpu, const char *kernel_name, const char *variant,
                const char *settings, const char *names, const struct values *in,
                struct values *out)
{
    const struct vkz_kernel *kernel = vkz_kernel_find(kernel_name);
    struct vkz_case c;
    CHECK_OK(vkz_case_parse(vkz_op_find(kernel->op), settings, 1, &c, &err));
    struct vkz_plan *plan;
    const struct vkz_plan_params params = {
        .kernel = kernel, .variant = variant, .env = &c.env};
    CHECK_OK(vkz_plan_create(gpu, &params, &plan, &err));
    struct vkz_buffer buffers[32] = {0};
    VkDescriptorBufferInfo infos[32] = {0};
    CHECK(vkz_plan_bind_count(plan) <= 32);
    for (int i = 0; i < vkz_plan_bind_count(plan); i++) {
        const size_t bytes = vkz_plan_buffer_bytes(plan, i);
        if (!bytes)
            continue;
        const size_t words = (bytes + 3) / 4 * 4;
        CHECK_OK(vkz_buffer_create(gpu, VKZ_BUFFER_DEVICE, words, &buffers[i], &err));
        CHECK_OK(vkz_buffer_fill(gpu, &buffers[i], 0, words, 0x7fc0a5a5, &err));
        infos[i] = (VkDescriptorBufferInfo){buffers[i].handle, 0, words};
        if (kernel->binds[i].io == VKZ_IN) {
            char name[64];
            const struct value *value = find(in,
                                             renamed(names, kernel->binds[i].name, name));
            CHECK(value && value->size >= bytes);
            CHECK_OK(vkz_buffer_write(gpu, &buffers[i], 0, value->bytes, bytes, &err));
        }
    }
    struct vkz_binding *binding;
    struct vkz_batch *batch;
    CHECK_OK(vkz_binding_create(plan, infos, &binding, &err));
    CHECK_OK(vkz_batch_create(gpu, 2, &batch, &err));
    CHECK_OK(vkz_batch_begin(batch, &err));
    vkz_batch_barrier(batch);
    vkz_record(plan, binding, vkz_batch_command_buffer(batch));
    CHECK_OK(vkz_batch_run(batch, 0, &err));
    for (int i = 0; i < vkz_plan_bind_count(plan); i++) {
        const size_t bytes = vkz_plan_buffer_bytes(plan, i);
        if (!bytes || kernel->binds[i].io != VKZ_OUT)
            continue;
        void *to = malloc(bytes);
        CHECK(to);
        CHECK_OK(vkz_buffer_read(gpu, &buffers[i], 0, to, bytes, &err));
        add(out, kernel->binds[i].name, to, bytes);
        free(to);
    }
    vkz_batch_destroy(&batch);
    vkz_binding_destroy(&binding);
    vkz_plan_destroy(&plan);
    for (int i = 0; i < 32; i++)
        vkz_buffer_destroy(gpu, &buffers[i]);
}

// A fused kernel and the two it stands for. The second gets the first one's outputs under
// its own names by `names` ("x=z": its input x is the first's output z); `outputs` are
// the fused kernel's names of what the two give ("next_pre=pre").
struct chain {
    const char *fused, *first, *second;
    const char *settings, *names, *outputs;
    const char *first_settings; // dims of the first that the fused has, and no more
};

static const struct chain chains[] = {
    {"mhc_post_pre_row", "mhc_post_row", "mhc_pre_row", "streams=4 iters=20", "x=z",
     "next_pre=pre next_post=post next_comb=comb", "streams=4"},
    {"mhc_post_pre_lane", "mhc_post_row", "mhc_pre_lane", "streams=4 iters=20", "x=z",
     "next_pre=pre next_post=post next_comb=comb", "streams=4"},
    {"mhc_post_pre_row", "mhc_post_row", "mhc_pre_row", "streams=3 COMB=permutation",
     "x=z", "next_pre=pre next_post=post next_comb=comb", "streams=3"},
    {"hyper_post_pre_row", "hyper_post_row", "hyper_pre_row",
     "streams=4 KIND=dynamic NORM=layer", "x=z", "y_next=y beta_next=beta", "streams=4"},
};

static bool known(const char *kernel, const char *variant, struct vkz_gpu *gpu)
{
    const struct vkz_kernel *k = vkz_kernel_find(kernel);
    for (const struct vkz_variant *v = k ? k->variants : NULL; v && v->name; v++) {
        struct vkz_error err;
        if (!strcmp(v->name, variant))
            return vkz_gpu_can_run(gpu, k, v, &err);
    }
    return false;
}

static bool test_chain(struct vkz_gpu *gpu, const struct chain *chain,
                       const char *variant, const char *size)
{
    if (!known(chain->fused, variant, gpu) || !known(chain->first, variant, gpu) ||
        !known(chain->second, variant, gpu))
        return false;
    char settings[128], first[128];
    snprintf(settings, sizeof settings, "%s %s", size, chain->settings);
    snprintf(first, sizeof first, "%s %s", size, chain->first_settings);
    const struct vkz_kernel *kernel = vkz_kernel_find(chain->fused);
    const struct vkz_variant *v = kernel->variants;
    while (strcmp(v->name, variant))
        v++;
    struct vkz_case c;
    struct vkz_data *data;
    CHECK_OK(vkz_case_parse(vkz_op_find(kernel->op), settings, 1, &c, &err));
    CHECK_OK(vkz_data_create(&c, v, 1, &data, &err));
    struct values values = {0}, fused = {0}, parts = {0};
    for (int i = 0; i < data->array_count; i++) {
        const struct vkz_array *array = &data->arrays[i];
        if (array->storage && array->count)
            add(&values, array->tensor->name, array->storage,
                (size_t)array->count * vkz_type_size(array->type));
    }
    run(gpu, chain->fused, variant, settings, NULL, &values, &fused);
    run(gpu, chain->first, variant, first, NULL, &values, &parts);
    for (int i = 0; i < parts.count; i++)
        add(&values, parts.items[i].name, parts.items[i].bytes, parts.items[i].size);
    run(gpu, chain->second, variant, settings, chain->names, &values, &parts);
    int compared = 0;
    for (int i = 0; i < fused.count; i++) {
        char name[64];
        const struct value *a = &fused.items[i];
        const struct value *b = find(&parts, renamed(chain->outputs, a->name, name));
        CHECK(b && a->size == b->size);
        if (memcmp(a->bytes, b->bytes, a->size)) {
            fprintf(stderr, "%s.%s@%s: %s differs from %s after %s\n", chain->fused,
                    variant, settings, a->name, chain->second, chain->first);
            exit(1);
        }
        compared++;
    }
    CHECK(compared > 0);
    clear(&values);
    clear(&fused);
    clear(&parts);
    vkz_data_destroy(&data);
    return true;
}

int main(void)
{
    static const char *const variants[] = {"f32", "f16", "bf16"};
    struct vkz_instance *instance = test_instance();
    struct vkz_gpu *gpu = test_gpu(instance, NULL);
    int done = 0;
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        // The 16-bit types once a family of ops: what is rounded in between could differ.
        for (int v = 0; v < (i == 0 || i == 3 ? 3 : 1); v++)
            done += test_chain(gpu, &chains[i], variants[v], "rows=9 width=132");
    }
    vkz_gpu_destroy(&gpu);
    vkz_instance_destroy(&instance);
    if (done == 0) {
        printf("skipped: no fused kernel in this build\n");
        return GPU_TEST_SKIPPED;
    }
    return 0;
}
