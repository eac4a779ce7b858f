// SPDX-License-Identifier: MIT
// vkzoo where: the files of an op or kernel as file:line, so that an editor can jump there.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

// Line of "<word> <name>" in a suite text, or 0.
static int suite_line(const struct vkz_suite_text *suite, const char *word, const char *name)
{
    int line = 1;
    for (const char *p = suite->text; p < suite->text + suite->size; line++) {
        const size_t length = strcspn(p, "\n");
        const char *q = p + strspn(p, " \t");
        const size_t w = strlen(word), n = strlen(name);
        if (strncmp(q, word, w) == 0 && strspn(q + w, " \t") > 0) {
            q += w + strspn(q + w, " \t");
            if (strncmp(q, name, n) == 0 && strcspn(q, " \t\r\n#") == n)
                return line;
        }
        p += length + (p[length] == '\n');
    }
    return 0;
}

static void print_suite_lines(const char *word, const char *name)
{
    for (const struct vkz_suite_text *s = vkz_suite_texts; s->name; s++) {
        const int line = suite_line(s, word, name);
        if (line)
            printf("suites/%s:%d: %s %s\n", s->name, line, word, name);
    }
}

static void print_kernel(const struct vkz_kernel *kernel)
{
    printf("%s:1: kernel %s, %s\n", kernel->file, kernel->name, kernel->tier);
    print_suite_lines("kernel", kernel->name);
}

static bool print_op(const char *name)
{
    const struct vkz_op *op = vkz_op_find(name);
    if (!op)
        return false;
    printf("host/ops/%s/%s.c:1: contract of %s: %s\n", op->family, op->name, op->name,
           op->title);
    print_suite_lines("op", op->name);
    for (int k = 0; vkz_kernels[k]; k++) {
        if (strcmp(vkz_kernels[k]->op, op->name) == 0)
            print_kernel(vkz_kernels[k]);
    }
    return true;
}

int vkz_cmd_where(const struct vkz_options *options)
{
    if (options->selector_count == 0) {
        fprintf(stderr, "vkzoo: where needs an op or kernel, as in `vkzoo where attention`\n");
        return VKZ_EXIT_USAGE;
    }
    for (int i = 0; i < options->selector_count; i++) {
        const char *name = options->selectors[i];
        const struct vkz_kernel *kernel = vkz_kernel_find(name);
        if (print_op(name))
            continue;
        if (!kernel) {
            fprintf(stderr, "vkzoo: %s is no op and no kernel; `vkzoo list` shows them\n",
                    name);
            return VKZ_EXIT_USAGE;
        }
        print_op(kernel->op);
    }
    return VKZ_EXIT_OK;
}
