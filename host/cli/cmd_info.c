// SPDX-License-Identifier: MIT
// vkzoo info: the devices, what each can run and what it lacks, and the choices kept.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/choose.h"
#include "bench/job.h"
#include "cli/cli.h"

// Variants a device cannot run, grouped by what is missing.
struct lack {
    char need[200];
    char kernels[600];
    int count;
};
enum { MAX_LACKS = 32 };

static void note_lack(struct lack *lacks, int *count, const char *need, const char *kernel,
                      const char *variant)
{
    int i = 0;
    while (i < *count && strcmp(lacks[i].need, need) != 0)
        i++;
    if (i == *count) {
        if (*count == MAX_LACKS)
            return;
        snprintf(lacks[i].need, sizeof lacks[i].need, "%.199s", need);
        lacks[i].kernels[0] = '\0';
        lacks[i].count = 0;
        ++*count;
    }
    const size_t used = strlen(lacks[i].kernels);
    if (used + 80 < sizeof lacks[i].kernels)
        snprintf(lacks[i].kernels + used, sizeof lacks[i].kernels - used, "%s%s.%s",
                 used ? " " : "", kernel, variant);
    lacks[i].count++;
}

static int survey(struct vkz_gpu *gpu, struct lack *lacks, int *lack_count, int *total)
{
    int can = 0;
    *lack_count = *total = 0;
    for (int k = 0; vkz_kernels[k]; k++) {
        for (const struct vkz_variant *v = vkz_kernels[k]->variants; v->name; v++) {
            struct vkz_error err = {0};
            ++*total;
            if (vkz_gpu_can_run(gpu, vkz_kernels[k], v, &err))
                can++;
            else
                note_lack(lacks, lack_count, err.message, vkz_kernels[k]->name, v->name);
        }
    }
    return can;
}

static void print_matrices(const struct vkz_gpu_info *info)
{
    if (info->coopmat_count == 0) {
        printf("    matrices    none (no VK_KHR_cooperative_matrix)\n");
        return;
    }
    for (int i = 0; i < info->coopmat_count; i++) {
        const struct vkz_coopmat_shape *s = &info->coopmat[i];
        printf("    %-11s %ux%ux%u %s%s\n", i ? "" : "matrices", s->m, s->n, s->k, s->types,
               s->subgroup_scope ? "" : " (not at subgroup scope)");
    }
}

static void print_device(const struct vkz_gpu_info *info)
{
    printf("%d  %s\n", info->index, info->name);
    printf("    driver      %s %s, Vulkan %u.%u, %s\n", info->driver_name, info->driver_info,
           VK_API_VERSION_MAJOR(info->api_version), VK_API_VERSION_MINOR(info->api_version),
           info->type);
    printf("    subgroup    %u (%u to %u), workgroup up to %u, shared memory %u KiB, push %u "
           "bytes\n",
           info->subgroup_size, info->subgroup_min, info->subgroup_max, info->max_invocations,
           info->max_shared_bytes / 1024, info->max_push_bytes);
    printf("    memory      %.1f GiB, one tensor up to %.0f MiB\n",
           (double)info->memory_bytes / 0x1p30, (double)info->max_storage_range / 0x1p20);
    if (info->timestamp_bits)
        printf("    clock       %u bits, %.3g ns a tick\n", info->timestamp_bits,
               info->timestamp_period_ns);
    else
        printf("    clock       no timestamps: the host clock's slope is used\n");
    print_matrices(info);
}

static void print_choice(void *context, const char *shape_class, const char *kernel,
                         const char *variant, const char *tuning, double ratio)
{
    (void)context;
    printf("      %-60s %s.%s[%s]", shape_class, kernel, variant, tuning);
    if (ratio > 0)
        printf("  next %.2fx", ratio);
    printf("\n");
}

static void print_choices(const struct vkz_gpu_info *info, const char *folder)
{
    struct vkz_choices *choices = NULL;
    if (vkz_choices_open(info, folder, &choices, NULL) == VKZ_OK &&
        vkz_choices_count(choices) > 0) {
        printf("    choices     %s\n", vkz_choices_path(choices));
        vkz_choices_each(choices, print_choice, NULL);
    }
    vkz_choices_close(&choices);
}

static void add_lacks(yyjson_mut_doc *doc, yyjson_mut_val *device, const struct lack *lacks,
                      int count)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, device, "cannot_run");
    for (int i = 0; i < count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_strcpy(doc, o, "reason", lacks[i].need);
        yyjson_mut_obj_add_strcpy(doc, o, "kernels", lacks[i].kernels);
        yyjson_mut_obj_add_int(doc, o, "count", lacks[i].count);
    }
}

static enum vkz_status show(struct vkz_instance *instance, int index,
                            const struct vkz_options *options, yyjson_mut_doc *doc,
                            struct vkz_error *err)
{
    struct vkz_gpu_info physical;
    struct vkz_gpu *gpu = NULL;
    static struct lack lacks[MAX_LACKS];
    int lack_count = 0, total = 0, can = 0;
    enum vkz_status status = vkz_instance_device_info(instance, index, &physical, err);
    if (status != VKZ_OK)
        return status;
    status = vkz_gpu_create(instance, index,
                            &(struct vkz_gpu_params){.floor_limits = options->floor_limits,
                                                     .core_only = options->core_only},
                            &gpu, err);
    const struct vkz_gpu_info *info = status == VKZ_OK ? vkz_gpu_get_info(gpu) : &physical;
    if (status == VKZ_OK)
        can = survey(gpu, lacks, &lack_count, &total);
    if (doc) {
        yyjson_mut_val *device = vkz_device_json(doc, info);
        yyjson_mut_obj_add_int(doc, device, "index", index);
        yyjson_mut_obj_add_int(doc, device, "variants_total", total);
        yyjson_mut_obj_add_int(doc, device, "variants_can_run", can);
        if (status == VKZ_OK)
            add_lacks(doc, device, lacks, lack_count);
        else
            yyjson_mut_obj_add_strcpy(doc, device, "error", err->message);
        yyjson_mut_arr_append(yyjson_mut_doc_get_root(doc), device);
    } else {
        print_device(info);
        if (status != VKZ_OK)
            printf("    unusable    %s\n", err->message);
        else
            printf("    runs        %d of %d kernel variants\n", can, total);
        for (int i = 0; i < lack_count && status == VKZ_OK; i++)
            printf("    cannot run  %s\n                %d: %s\n", lacks[i].need,
                   lacks[i].count, lacks[i].kernels);
        print_choices(info, options->cache_folder);
    }
    vkz_gpu_destroy(&gpu);
    return VKZ_OK;
}

int vkz_cmd_info(const struct vkz_options *options)
{
    struct vkz_instance *instance = NULL;
    struct vkz_error err = {0};
    int only = -1;
    enum vkz_status status = vkz_instance_create(&instance, &err);
    if (status == VKZ_OK && options->device)
        status = vkz_instance_choose(instance, options->device, &only, &err);
    yyjson_mut_doc *doc = options->json ? yyjson_mut_doc_new(NULL) : NULL;
    if (doc)
        yyjson_mut_doc_set_root(doc, yyjson_mut_arr(doc));
    const int count = status == VKZ_OK ? vkz_instance_device_count(instance) : 0;
    for (int i = 0; i < count && status == VKZ_OK; i++) {
        if (only < 0 || i == only)
            status = show(instance, i, options, doc, &err);
    }
    if (doc && status == VKZ_OK) {
        char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
        if (text)
            puts(text);
        free(text);
    }
    yyjson_mut_doc_free(doc);
    vkz_instance_destroy(&instance);
    return status == VKZ_OK ? VKZ_EXIT_OK : vkz_cli_fail(&err);
}
