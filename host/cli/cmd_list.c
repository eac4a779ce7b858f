// SPDX-License-Identifier: MIT
// vkzoo list: the catalogue, as a table for people and as JSON with every interface fact for
// programs that take a shader into another engine.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "cli/cli.h"

static const char *const io_names[] = {"in", "out", "inout", "scratch"};

static void add_str(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const char *text)
{
    if (text)
        yyjson_mut_obj_add_str(doc, o, key, text);
    else
        yyjson_mut_obj_add_null(doc, o, key);
}

static void add_contract(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct vkz_op *op)
{
    add_str(doc, o, "op", op->name);
    add_str(doc, o, "family", op->family);
    yyjson_mut_obj_add_int(doc, o, "abi", op->abi);
    add_str(doc, o, "title", op->title);
    add_str(doc, o, "doc", op->doc);
    add_str(doc, o, "flops", op->flops);
    add_str(doc, o, "valid", op->valid);
    yyjson_mut_val *dims = yyjson_mut_obj_add_arr(doc, o, "dims");
    for (const struct vkz_dim *d = op->dims; d && d->name; d++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, dims);
        add_str(doc, x, "name", d->name);
        add_str(doc, x, "doc", d->doc);
        add_str(doc, x, "default", d->value);
    }
    yyjson_mut_val *scalars = yyjson_mut_obj_add_arr(doc, o, "scalars");
    for (const struct vkz_scalar *s = op->scalars; s && s->name; s++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, scalars);
        add_str(doc, x, "name", s->name);
        add_str(doc, x, "doc", s->doc);
        add_str(doc, x, "default", s->value);
    }
    yyjson_mut_val *axes = yyjson_mut_obj_add_arr(doc, o, "axes");
    for (const struct vkz_axis *a = op->axes; a && a->name; a++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, axes);
        add_str(doc, x, "name", a->name);
        add_str(doc, x, "values", a->values);
        add_str(doc, x, "doc", a->doc);
    }
    yyjson_mut_val *tensors = yyjson_mut_obj_add_arr(doc, o, "tensors");
    for (const struct vkz_tensor *t = op->tensors; t && t->name; t++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, tensors);
        add_str(doc, x, "name", t->name);
        add_str(doc, x, "io", io_names[t->io]);
        add_str(doc, x, "type", t->type);
        add_str(doc, x, "shape", t->shape);
        add_str(doc, x, "when", t->when);
        add_str(doc, x, "doc", t->doc);
    }
}

static void add_interface(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct vkz_kernel *k)
{
    yyjson_mut_val *binds = yyjson_mut_obj_add_arr(doc, o, "bindings");
    for (const struct vkz_bind *b = k->binds; b && b->name; b++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, binds);
        yyjson_mut_obj_add_uint(doc, x, "binding", b->binding);
        add_str(doc, x, "name", b->name);
        add_str(doc, x, "io", io_names[b->io]);
        add_str(doc, x, "type", b->type);
        add_str(doc, x, "shape", b->shape);
        add_str(doc, x, "when", b->when);
    }
    yyjson_mut_val *push = yyjson_mut_obj_add_arr(doc, o, "push");
    int offset = 0;
    for (const struct vkz_push *p = k->push; p && p->name; p++, offset += 4) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, push);
        add_str(doc, x, "name", p->name);
        add_str(doc, x, "type", vkz_type_name(p->type));
        yyjson_mut_obj_add_int(doc, x, "offset", offset);
    }
    yyjson_mut_val *specs = yyjson_mut_obj_add_arr(doc, o, "constants");
    for (const struct vkz_spec *s = k->specs; s && s->name; s++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, specs);
        yyjson_mut_obj_add_uint(doc, x, "id", s->id);
        add_str(doc, x, "name", s->name);
        add_str(doc, x, "type", vkz_type_name(s->type));
        yyjson_mut_obj_add_real(doc, x, "default", s->default_value);
        add_str(doc, x, "value", s->value);
        add_str(doc, x, "doc", s->doc);
    }
    yyjson_mut_val *lets = yyjson_mut_obj_add_obj(doc, o, "lets");
    for (const struct vkz_let *l = k->lets; l && l->name; l++)
        add_str(doc, lets, l->name, l->value);
    yyjson_mut_val *tunings = yyjson_mut_obj_add_obj(doc, o, "tunings");
    for (const struct vkz_tuning *t = k->tunings; t && t->name; t++)
        add_str(doc, tunings, t->name, t->settings);
    yyjson_mut_val *passes = yyjson_mut_obj_add_arr(doc, o, "passes");
    for (const struct vkz_pass *p = k->passes; p->name; p++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, passes);
        add_str(doc, x, "name", p->name);
        add_str(doc, x, "indirect", p->indirect);
        yyjson_mut_val *groups = yyjson_mut_obj_add_arr(doc, x, "groups");
        for (int i = 0; i < 3 && p->groups[i]; i++)
            yyjson_mut_arr_add_str(doc, groups, p->groups[i]);
    }
}

static void add_kernel(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct vkz_kernel *k)
{
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
    add_str(doc, o, "kernel", k->name);
    add_str(doc, o, "title", k->title);
    add_str(doc, o, "file", k->file);
    add_str(doc, o, "tier", k->tier);
    yyjson_mut_obj_add_bool(doc, o, "baseline", k->baseline);
    add_str(doc, o, "when", k->when);
    add_str(doc, o, "shared_bytes", k->shared);
    add_interface(doc, o, k);
    yyjson_mut_val *variants = yyjson_mut_obj_add_arr(doc, o, "variants");
    for (const struct vkz_variant *v = k->variants; v->name; v++) {
        yyjson_mut_val *x = yyjson_mut_arr_add_obj(doc, variants);
        add_str(doc, x, "name", v->name);
        add_str(doc, x, "types", v->types);
        add_str(doc, x, "accumulate", v->accumulate);
        add_str(doc, x, "coopmat", v->coopmat);
        yyjson_mut_val *modules = yyjson_mut_obj_add_arr(doc, x, "modules");
        for (int p = 0; k->passes[p].name; p++) {
            yyjson_mut_val *m = yyjson_mut_arr_add_obj(doc, modules);
            add_str(doc, m, "pass", k->passes[p].name);
            add_str(doc, m, "sha256", v->modules[p].sha256);
            add_str(doc, m, "capabilities", v->modules[p].capabilities);
            add_str(doc, m, "extensions", v->modules[p].extensions);
        }
    }
}

static int print_json(const struct vkz_selection *selection)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    for (int s = 0; s < selection->suite_count; s++) {
        for (int e = 0; e < selection->suites[s].op_count; e++) {
            const struct vkz_suite_op *entry = &selection->suites[s].ops[e];
            if (!vkz_selection_has(selection, &selection->suites[s], entry->op))
                continue;
            yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, root);
            add_contract(doc, o, entry->op);
            yyjson_mut_obj_add_int(doc, o, "cases", entry->case_count);
            yyjson_mut_val *kernels = yyjson_mut_obj_add_arr(doc, o, "kernels");
            for (int k = 0; k < entry->kernel_count; k++)
                add_kernel(doc, kernels, entry->kernels[k]);
        }
    }
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
    if (text)
        puts(text);
    else
        fprintf(stderr, "vkzoo: out of host memory\n");
    const int exit_code = text ? VKZ_EXIT_OK : VKZ_EXIT_HARNESS;
    free(text);
    yyjson_mut_doc_free(doc);
    return exit_code;
}

static void print_op(const struct vkz_suite_op *entry)
{
    printf("  %-22s %s  (%d cases)\n", entry->op->name, entry->op->title, entry->case_count);
    for (int k = 0; k < entry->kernel_count; k++) {
        const struct vkz_kernel *kernel = entry->kernels[k];
        printf("    %-26s %-4s", kernel->name, kernel->tier);
        for (const struct vkz_variant *v = kernel->variants; v->name; v++)
            printf(" %s", v->name);
        printf("%s\n", kernel->baseline ? "  (baseline)" : "");
    }
}

int vkz_cmd_list(const struct vkz_options *options)
{
    struct vkz_selection selection;
    struct vkz_error err = {0};
    if (vkz_selection_create(options, &selection, &err) != VKZ_OK)
        return vkz_cli_fail(&err);
    int exit_code = VKZ_EXIT_OK;
    if (options->json) {
        exit_code = print_json(&selection);
    } else {
        for (int s = 0; s < selection.suite_count; s++) {
            const struct vkz_suite *suite = &selection.suites[s];
            bool titled = false;
            for (int e = 0; e < suite->op_count; e++) {
                if (!vkz_selection_has(&selection, suite, suite->ops[e].op))
                    continue;
                if (!titled)
                    printf("%s\n", suite->name);
                titled = true;
                print_op(&suite->ops[e]);
            }
        }
    }
    vkz_selection_finish(&selection);
    return exit_code;
}
