// SPDX-License-Identifier: MIT
// Header lines. Nothing that names a person or a machine goes in: no host name, no user, no
// serial number.
#include "cli/header.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "version.h"

static void add_tool(yyjson_mut_doc *doc, yyjson_mut_val *header)
{
    yyjson_mut_val *tool = yyjson_mut_obj_add_obj(doc, header, "tool");
    const char *dirty = strstr(VKZ_COMMIT, "-dirty");
    yyjson_mut_obj_add_str(doc, tool, "name", "vkzoo");
    yyjson_mut_obj_add_str(doc, tool, "version", VKZ_VERSION);
    yyjson_mut_obj_add_str(doc, tool, "commit", VKZ_COMMIT);
    yyjson_mut_obj_add_bool(doc, tool, "dirty", dirty != NULL);
    yyjson_mut_obj_add_str(doc, tool, "compiler", VKZ_COMPILER);
}

static void cpu_model(char out[128])
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    snprintf(out, 128, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            snprintf(out, 128, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (f)
        fclose(f);
}

static void add_host(yyjson_mut_doc *doc, yyjson_mut_val *header)
{
    yyjson_mut_val *host = yyjson_mut_obj_add_obj(doc, header, "host");
    char cpu[128], os[200] = "unknown";
    struct utsname u;
    cpu_model(cpu);
    if (uname(&u) == 0)
        snprintf(os, sizeof os, "%.60s %.60s %.60s", u.sysname, u.release, u.machine);
    yyjson_mut_obj_add_strcpy(doc, host, "cpu", cpu);
    yyjson_mut_obj_add_int(doc, host, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    yyjson_mut_obj_add_real(doc, host, "memory_bytes",
                            (double)sysconf(_SC_PHYS_PAGES) *
                                (double)sysconf(_SC_PAGESIZE));
    yyjson_mut_obj_add_strcpy(doc, host, "os", os);
}

// Environment variables that change what a driver does: part of what was measured.
static void add_environment(yyjson_mut_doc *doc, yyjson_mut_val *run,
                            char *const *own)
{
    static const char *const names[] = {"LP_NATIVE_VECTOR_WIDTH", "LP_NUM_THREADS",
                                        "RADV_PERFTEST", "RADV_DEBUG", "RADV_FORCE_FAMILY",
                                        "ANV_DEBUG", "VK_INSTANCE_LAYERS", "MESA_VK_DEVICE_SELECT"};
    yyjson_mut_val *environment = yyjson_mut_obj_add_obj(doc, run, "environment");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            yyjson_mut_obj_add_strcpy(doc, environment, names[i], value);
    }
    for (; own && *own; own++) {
        yyjson_mut_val *name = yyjson_mut_strncpy(doc, *own, strcspn(*own, "="));
        const char *value = strchr(*own, '=');
        yyjson_mut_obj_put(environment, name, yyjson_mut_strcpy(doc, value ? value + 1 : ""));
    }
}

static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                     const char *text)
{
    yyjson_mut_obj_add_strcpy(doc, object, key, text ? text : "");
}

static void add_started(yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    char when[32];
    const time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    yyjson_mut_obj_add_strcpy(doc, object, "started", when);
}

yyjson_mut_val *vkz_header_resume_json(yyjson_mut_doc *doc, yyjson_val *hello)
{
    yyjson_mut_val *line = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, line, "type", "resume");
    add_started(doc, line);
    add_tool(doc, line);
    yyjson_mut_obj_add_val(doc, line, "device",
                           yyjson_val_mut_copy(doc, yyjson_obj_get(hello, "device")));
    return line;
}

yyjson_mut_val *vkz_header_json(yyjson_mut_doc *doc, const char *verb,
                                const struct vkz_options *options, yyjson_val *hello,
                                yyjson_val *ceilings, char *const *environment)
{
    yyjson_mut_val *header = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, header, "schema", "vkzoo-result/1");
    yyjson_mut_obj_add_str(doc, header, "type", "header");
    yyjson_mut_obj_add_strcpy(doc, header, "verb", verb);
    add_tool(doc, header);
    add_started(doc, header);
    yyjson_mut_obj_add_val(doc, header, "device",
                           yyjson_val_mut_copy(doc, yyjson_obj_get(hello, "device")));
    yyjson_mut_obj_add_val(doc, header, "clock",
                           yyjson_val_mut_copy(doc, yyjson_obj_get(hello, "clock")));
    if (ceilings)
        yyjson_mut_obj_add_val(doc, header, "ceilings", yyjson_val_mut_copy(doc, ceilings));
    else
        yyjson_mut_obj_add_null(doc, header, "ceilings");
    add_host(doc, header);
    yyjson_mut_val *run = yyjson_mut_obj_add_obj(doc, header, "run");
    yyjson_mut_val *selected = yyjson_mut_obj_add_arr(doc, run, "suite");
    for (int i = 0; i < options->selector_count; i++)
        yyjson_mut_arr_add_strcpy(doc, selected, options->selectors[i]);
    add_text(doc, run, "tags", options->tags);
    add_text(doc, run, "set", options->set);
    add_text(doc, run, "kernel", options->kernel);
    add_text(doc, run, "variant", options->variant);
    add_text(doc, run, "tuning", options->tuning);
    add_text(doc, run, "spec", options->spec);
    add_text(doc, run, "spirv", options->spirv);
    yyjson_mut_obj_add_bool(doc, run, "all_kernels", options->all_kernels);
    yyjson_mut_obj_add_bool(doc, run, "identities", options->identities);
    yyjson_mut_obj_add_uint(doc, run, "seed", options->seed);
    yyjson_mut_obj_add_real(doc, run, "budget_ms",
                            options->budget_ms > 0 ? options->budget_ms : 1000);
    yyjson_mut_obj_add_bool(doc, run, "cold", !options->no_cold);
    yyjson_mut_obj_add_bool(doc, run, "floor_limits", options->floor_limits);
    yyjson_mut_obj_add_bool(doc, run, "core_only", options->core_only);
    add_environment(doc, run, environment);
    return header;
}

static bool same_text(yyjson_val *a, yyjson_val *b, const char *key)
{
    const char *x = yyjson_get_str(yyjson_obj_get(a, key));
    const char *y = yyjson_get_str(yyjson_obj_get(b, key));
    return x && y && strcmp(x, y) == 0;
}

enum vkz_status vkz_header_compatible(yyjson_val *header, yyjson_val *hello, const char *path,
                                      struct vkz_error *err)
{
    yyjson_val *then = yyjson_obj_get(header, "device"), *now = yyjson_obj_get(hello, "device");
    const char *name = yyjson_get_str(yyjson_obj_get(then, "name"));
    if (!name)
        name = "not named";
    if (!same_text(then, now, "name") || !same_text(then, now, "driver_info"))
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s is from another device or driver (%.80s); "
                             "choose that with --device, or start a new file", path, name);
    const char *commit = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(header, "tool"),
                                                       "commit"));
    if (!commit || strcmp(commit, VKZ_COMMIT) != 0)
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s is from another build (%s, this is %s); "
                             "start a new file", path, commit ? commit : "unknown", VKZ_COMMIT);
    return VKZ_OK;
}

static size_t append_slug(char *out, size_t used, size_t size, const char *text)
{
    for (const char *p = text; *p && *p != '(' && used + 2 < size; p++) {
        if (isalnum((unsigned char)*p) || (*p == '.' && used && out[used - 1] != '-'))
            out[used++] = (char)tolower((unsigned char)*p);
        else if (used && out[used - 1] != '-')
            out[used++] = '-';
    }
    while (used && (out[used - 1] == '-' || out[used - 1] == '.'))
        used--;
    out[used] = '\0';
    return used;
}

void vkz_header_device_slug(yyjson_val *device, char *out, size_t size)
{
    const char *name = yyjson_get_str(yyjson_obj_get(device, "name"));
    const char *driver = yyjson_get_str(yyjson_obj_get(device, "driver_info"));
    size_t used = append_slug(out, 0, size, name ? name : "device");
    if (driver && *driver && used + 2 < size) {
        out[used++] = '-';
        append_slug(out, used, size, driver);
    }
}
