// SPDX-License-Identifier: MIT
// Names on the command line that nothing has: each is refused with what there is.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

// Names there are, as they are met, each once.
struct names {
    char text[400];
    bool found; // the one that was asked for is among them
};

static void note(struct names *names, const char *wanted, const char *name, size_t length)
{
    const size_t used = strlen(names->text);
    if (strlen(wanted) == length && strncmp(wanted, name, length) == 0)
        names->found = true;
    for (const char *p = names->text; *p; p += strcspn(p, " "), p += *p == ' ') {
        if (strcspn(p, " ") == length && strncmp(p, name, length) == 0)
            return;
    }
    if (used + length + 5 < sizeof names->text)
        snprintf(names->text + used, sizeof names->text - used, "%s%.*s", used ? " " : "",
                 (int)length, name);
    else if (strcmp(names->text + used - 3, "...") != 0)
        memcpy(names->text + used, " ...", 5);
}

static void note_all(struct names *names, const char *wanted, const char *list,
                     const char *separator)
{
    for (const char *p = list; *p; p += strcspn(p, separator), p += *p != '\0')
        note(names, wanted, p, strcspn(p, separator));
}

enum kind { KERNEL, VARIANT, TUNING, CONSTANT, TAG };

static void note_kernel(struct names *names, enum kind kind, const char *wanted,
                        const struct vkz_kernel *k)
{
    if (kind == KERNEL)
        note(names, wanted, k->name, strlen(k->name));
    for (const struct vkz_variant *v = k->variants; kind == VARIANT && v->name; v++)
        note(names, wanted, v->name, strlen(v->name));
    if (kind == TUNING)
        note(names, wanted, "default", 7);
    for (const struct vkz_tuning *t = k->tunings; kind == TUNING && t && t->name; t++)
        note(names, wanted, t->name, strlen(t->name));
    for (const struct vkz_spec *s = k->specs; kind == CONSTANT && s && s->name; s++)
        note(names, wanted, s->name, strlen(s->name));
}

static struct names known(const struct vkz_options *o,
                          const struct vkz_selection *selection, enum kind kind,
                          const char *wanted)
{
    struct names names = {0};
    for (int s = 0; s < selection->suite_count; s++) {
        for (int e = 0; e < selection->suites[s].op_count; e++) {
            const struct vkz_suite_op *entry = &selection->suites[s].ops[e];
            if (!vkz_selection_has(selection, &selection->suites[s], entry->op))
                continue;
            for (int k = 0; k < entry->kernel_count; k++) {
                if (kind == KERNEL || !o->kernel ||
                    strcmp(o->kernel, entry->kernels[k]->name) == 0)
                    note_kernel(&names, kind, wanted, entry->kernels[k]);
            }
            for (int i = 0; kind == TAG && i < entry->case_count; i++)
                note_all(&names, wanted, entry->cases[i].tags, ",");
        }
    }
    return names;
}

static enum vkz_status look_up(const struct vkz_options *o,
                               const struct vkz_selection *selection, enum kind kind,
                               const char *wanted, struct vkz_error *err)
{
    static const char *const words[] = {"kernel", "variant", "tuning", "constant", "tag"};
    const struct names names = known(o, selection, kind, wanted);
    if (names.found)
        return VKZ_OK;
    return vkz_error_set(err, VKZ_BAD_INPUT, "%.60s has no %s %.60s; there are: %s",
                         o->kernel && kind != KERNEL ? o->kernel : "what is selected",
                         words[kind], wanted, names.text);
}

static enum vkz_status look_up_constants(const struct vkz_options *o,
                                         const struct vkz_selection *selection,
                                         const char *settings, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    for (const char *p = settings; *p && status == VKZ_OK; p += strcspn(p, " ,")) {
        p += strspn(p, " ,");
        char name[64] = "";
        const size_t length = strcspn(p, "= ,");
        if (length == 0)
            continue;
        memcpy(name, p, length < sizeof name ? length : sizeof name - 1);
        status = look_up(o, selection, CONSTANT, name, err);
    }
    return status;
}

enum vkz_status vkz_selection_check_names(const struct vkz_options *options,
                                          const struct vkz_selection *selection,
                                          struct vkz_error *err)
{
    const struct vkz_options *o = options;
    enum vkz_status status = VKZ_OK;
    if (o->kernel)
        status = look_up(o, selection, KERNEL, o->kernel, err);
    if (status == VKZ_OK && o->variant)
        status = look_up(o, selection, VARIANT, o->variant, err);
    if (status == VKZ_OK && o->tuning)
        status = look_up(o, selection, TUNING, o->tuning, err);
    if (status == VKZ_OK && o->spec && !o->kernel)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--spec sets constants of one kernel: name it with --kernel");
    if (status == VKZ_OK && o->spec)
        status = look_up_constants(o, selection, o->spec, err);
    return status;
}

enum vkz_status vkz_selection_no_case(const struct vkz_options *options,
                                      const struct vkz_selection *selection,
                                      struct vkz_error *err)
{
    const struct names names = known(options, selection, TAG, "");
    return vkz_error_set(err, VKZ_BAD_INPUT,
                         "no selected case has a tag of `%.60s`%s; the tags are: %s, and "
                         "--tag all takes every case",
                         options->tags ? options->tags : "the default",
                         options->kernel || options->variant || options->tuning
                             ? " and that kernel, variant and tuning"
                             : "",
                         names.text);
}
