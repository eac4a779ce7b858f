// SPDX-License-Identifier: MIT
// Which suites, ops and cases a command line means.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static bool is_file(const char *selector)
{
    const size_t n = strlen(selector);
    return strchr(selector, '/') || (n > 6 && strcmp(selector + n - 6, ".suite") == 0);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool names_suite(const char *selector, const struct vkz_suite *suite)
{
    const char *name = base_name(suite->name);
    const size_t stem = strcspn(name, ".");
    if (is_file(selector))
        return strcmp(base_name(selector), name) == 0;
    return strlen(selector) == stem && strncmp(selector, name, stem) == 0;
}

static bool names_op(const char *selector, const struct vkz_op *op)
{
    const size_t n = strcspn(selector, "@");
    return strlen(op->name) == n && strncmp(selector, op->name, n) == 0;
}

bool vkz_selection_has(const struct vkz_selection *selection, const struct vkz_suite *suite,
                       const struct vkz_op *op)
{
    for (int i = 0; i < selection->selector_count; i++) {
        if (names_suite(selection->selectors[i], suite) ||
            (!is_file(selection->selectors[i]) && names_op(selection->selectors[i], op)))
            return true;
    }
    return selection->selector_count == 0;
}

static bool known(const struct vkz_selection *selection, const char *selector)
{
    if (vkz_op_find(selector) || is_file(selector))
        return true;
    for (int s = 0; s < selection->suite_count; s++) {
        if (names_suite(selector, &selection->suites[s]))
            return true;
    }
    for (int i = 0; vkz_ops[i]; i++) {
        if (strchr(selector, '@') && names_op(selector, vkz_ops[i]))
            return true;
    }
    return false;
}

enum vkz_status vkz_selection_create(const struct vkz_options *options,
                                     struct vkz_selection *out, struct vkz_error *err)
{
    int built_in = 0, files = 0;
    *out = (struct vkz_selection){.selectors = options->selectors,
                                  .selector_count = options->selector_count};
    while (vkz_suite_texts[built_in].name)
        built_in++;
    for (int i = 0; i < options->selector_count; i++)
        files += is_file(options->selectors[i]);
    out->suites = calloc((size_t)(built_in + files) + 1, sizeof *out->suites);
    if (!out->suites)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    enum vkz_status status = VKZ_OK;
    // A user's file stands alone: it names ops the built-in suites have too.
    if (files == 0) {
        for (int i = 0; i < built_in && status == VKZ_OK; i++) {
            const struct vkz_suite_text *t = &vkz_suite_texts[i];
            status = vkz_suite_parse(t->name, t->text, t->size, options->seed,
                                     &out->suites[out->suite_count], err);
            out->suite_count += status == VKZ_OK;
        }
    }
    for (int i = 0; i < options->selector_count && status == VKZ_OK; i++) {
        if (!is_file(options->selectors[i]))
            continue;
        status = vkz_suite_load(options->selectors[i], options->seed,
                                &out->suites[out->suite_count], err);
        out->suite_count += status == VKZ_OK;
    }
    for (int i = 0; i < options->selector_count && status == VKZ_OK; i++) {
        if (!known(out, options->selectors[i]))
            status = vkz_error_set(err, VKZ_BAD_INPUT,
                                   "%s is no suite, op, case or file; `vkzoo list` shows what "
                                   "there is", options->selectors[i]);
    }
    if (status != VKZ_OK)
        vkz_selection_finish(out);
    return status;
}

void vkz_selection_finish(struct vkz_selection *selection)
{
    for (int i = 0; i < selection->suite_count; i++)
        vkz_suite_finish(&selection->suites[i]);
    free(selection->suites);
    selection->suites = NULL;
    selection->suite_count = 0;
}
