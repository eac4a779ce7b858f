// SPDX-License-Identifier: MIT
// A comparison as text, Markdown, CSV and JSON. See report/compare.h.
#include "report/compare.h"

#include <stdlib.h>

#include "report/json.h"

struct printer {
    const struct vkz_compare *c;
    enum vkz_compare_by by;
    FILE *out;
    const struct vkz_style *style;
};

// "1.035 [1.021, 1.049]"; "-" when unknown.
static const char *ratio_text(struct vkz_ratio ratio, char out[64])
{
    if (!isfinite(ratio.value))
        return strcpy(out, "-");
    snprintf(out, 64, "%.3f [%.3f, %.3f]", ratio.value, ratio.low, ratio.high);
    return out;
}

// "llvmpipe (…), Mesa 25.0.7, vkzoo 0.1.0 (commit), 2026-11-21T22:13:23Z"
static void describe_run(const struct vkz_run *run, char out[400])
{
    const struct vkz_result_file *file = run->file;
    yyjson_val *device = vkz_json_object(file->header, "device");
    yyjson_val *tool = vkz_json_object(file->header, "tool");
    snprintf(out, 400, "%.160s: %.80s, %.60s; commit %.20s, %.24s", file->path,
             vkz_json_text(device, "name"), vkz_json_text(device, "driver_info"),
             vkz_json_text(tool, "commit"), vkz_json_text(file->header, "started"));
}

static const char *what_changed(const struct vkz_pair *pair, char out[160])
{
    out[0] = '\0';
    if (pair->other_kernel)
        snprintf(out, 160, "%.70s -> %.70s", pair->a->kernel,
                 pair->b->kernel);
    else if (pair->other_spirv)
        snprintf(out, 160, "other SPIR-V");
    return out;
}

// The reason, or what changed; "" for nothing to say.
static const char *remark(const struct vkz_pair *pair, char out[160])
{
    if (pair->reason[0])
        return pair->reason;
    return what_changed(pair, out);
}

static const char *variant_of(const struct vkz_pair *pair)
{
    return pair->a->variant;
}

// ---- Text ----

static void text_verdicts(const struct printer *p, const struct vkz_mean *mean)
{
    for (int v = 0; v < VKZ_VERDICTS; v++) {
        if (mean->verdicts[v])
            fprintf(p->out, "  %d %s", mean->verdicts[v], vkz_verdict_name(v));
    }
    fputc('\n', p->out);
}

static void text_mean(const struct printer *p, const struct vkz_mean *mean,
                      const char *name, int width)
{
    char text[64];
    vkz_print_cell(p->out, p->style, name, width, false);
    fputc(' ', p->out);
    vkz_print_cell(p->out, p->style, ratio_text(mean->ratio, text), 22, false);
    text_verdicts(p, mean);
}

static enum vkz_color verdict_color(enum vkz_verdict verdict)
{
    return verdict <= VKZ_VERDICT_SLOWER    ? VKZ_RED
           : verdict == VKZ_VERDICT_FASTER  ? VKZ_GREEN
           : verdict == VKZ_VERDICT_UNKNOWN ? VKZ_YELLOW
                                            : VKZ_DIM;
}

static void text_cases(const struct printer *p)
{
    size_t same = 0;
    for (size_t i = 0; i < p->c->pair_count; i++) {
        const struct vkz_pair *pair = &p->c->pairs[i];
        char text[160];
        if (pair->verdict == VKZ_VERDICT_SAME) {
            same++;
            continue;
        }
        fputs(vkz_color_on(p->style, verdict_color(pair->verdict)), p->out);
        vkz_print_cell(p->out, p->style, vkz_verdict_name(pair->verdict), 12, false);
        fputs(vkz_color_off(p->style, verdict_color(pair->verdict)), p->out);
        vkz_print_cell(p->out, p->style, ratio_text(pair->ratio, text), 23, false);
        vkz_print_cell(p->out, p->style, variant_of(pair), 12, false);
        fputc(' ', p->out);
        char name[700];
        vkz_print_text(p->out, p->style, vkz_record_case(pair->a, name, sizeof name),
                       p->style->width - 48);
        fputc('\n', p->out);
        if (remark(pair, text)[0]) {
            fprintf(p->out, "            ");
            vkz_print_text(p->out, p->style, remark(pair, text), p->style->width - 12);
            fputc('\n', p->out);
        }
    }
    if (same)
        fprintf(p->out, "%-12s%zu cases within %.0f %%\n", "same", same,
                100 * VKZ_SAMENESS);
}

static void text_missing(const struct printer *p, const char *which,
                         const struct vkz_record **records, size_t count)
{
    enum { NAMED = 10 };
    if (count == 0)
        return;
    fprintf(p->out, "\nonly in %s: %zu\n", which, count);
    for (size_t i = 0; i < count && i < NAMED; i++) {
        char name[700];
        fprintf(p->out, "  ");
        vkz_print_text(p->out, p->style, records[i]->asked_variant, 12);
        fputc(' ', p->out);
        vkz_print_text(p->out, p->style, vkz_record_case(records[i], name, sizeof name),
                       p->style->width - 15);
        fputc('\n', p->out);
    }
    if (count > NAMED)
        fprintf(p->out, "  and %zu more (--format csv has them all)\n", count - NAMED);
}

static void print_text(const struct printer *p)
{
    const struct vkz_compare *c = p->c;
    char line[400];
    for (int side = 0; side < 2; side++) {
        describe_run(side ? c->b : c->a, line);
        fprintf(p->out, "%c  ", side ? 'B' : 'A');
        vkz_print_text(p->out, p->style, line, p->style->width - 3);
        fputc('\n', p->out);
    }
    fprintf(p->out, "time of B over time of A, 95 %% intervals; above 1 B is slower\n\n");
    if (p->by == VKZ_BY_CASE)
        text_cases(p);
    for (size_t i = 0; p->by == VKZ_BY_KERNEL && i < c->kernel_count; i++)
        text_mean(p, &c->kernels[i], c->kernels[i].name, 44);
    for (size_t i = 0; p->by == VKZ_BY_OP && i < c->op_count; i++)
        text_mean(p, &c->ops[i], c->ops[i].name, 44);
    text_missing(p, "A", c->only_a, c->only_a_count);
    text_missing(p, "B", c->only_b, c->only_b_count);
    fprintf(p->out, "\ngeometric means\n");
    for (size_t i = 0; i < c->family_count; i++)
        text_mean(p, &c->families[i], c->families[i].name, 44);
    if (c->pair_count)
        text_mean(p, &c->all, "all families", 44);
    else
        fprintf(p->out, "no case is in both files: nothing to compare; run the same "
                        "`vkzoo bench` for both\n");
}

// ---- Markdown ----

static void md_mean(const struct printer *p, const struct vkz_mean *mean,
                    const char *name)
{
    char text[64];
    fprintf(p->out, "| ");
    vkz_print_md(p->out, name);
    fprintf(p->out, " | %s | %d", ratio_text(mean->ratio, text), mean->cases);
    for (int v = 0; v < VKZ_VERDICTS; v++)
        fprintf(p->out, " | %d", mean->verdicts[v]);
    fprintf(p->out, " |\n");
}

static void md_missing(const struct printer *p, const char *which,
                       const struct vkz_record **records, size_t count)
{
    enum { NAMED = 50 };
    char name[700];
    fprintf(p->out, "\nOnly in %s: %zu case%s%s", which, count, count == 1 ? "" : "s",
            count ? "\n\n" : ".\n");
    for (size_t i = 0; i < count && i < NAMED; i++) {
        fprintf(p->out, "* ");
        vkz_print_md(p->out, vkz_record_case(records[i], name, sizeof name));
        fputc(' ', p->out);
        vkz_print_md(p->out, records[i]->asked_variant);
        fputc('\n', p->out);
    }
    if (count > NAMED)
        fprintf(p->out, "* and %zu more\n", count - NAMED);
}

static void print_md(const struct printer *p)
{
    const struct vkz_compare *c = p->c;
    char line[400];
    for (int side = 0; side < 2; side++) {
        describe_run(side ? c->b : c->a, line);
        fprintf(p->out, "* %c: ", side ? 'B' : 'A');
        vkz_print_md(p->out, line);
        fputc('\n', p->out);
    }
    fprintf(p->out, "\nTime of B over time of A, 95 %% intervals; above 1 B is slower.\n\n"
                    "| | geometric mean | cases");
    for (int v = 0; v < VKZ_VERDICTS; v++)
        fprintf(p->out, " | %s", vkz_verdict_name(v));
    fprintf(p->out, " |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; p->by == VKZ_BY_KERNEL && i < c->kernel_count; i++)
        md_mean(p, &c->kernels[i], c->kernels[i].name);
    for (size_t i = 0; p->by == VKZ_BY_OP && i < c->op_count; i++)
        md_mean(p, &c->ops[i], c->ops[i].name);
    for (size_t i = 0; i < c->family_count; i++)
        md_mean(p, &c->families[i], c->families[i].name);
    md_mean(p, &c->all, "all families");
    md_missing(p, "A", c->only_a, c->only_a_count);
    md_missing(p, "B", c->only_b, c->only_b_count);
    if (p->by != VKZ_BY_CASE)
        return;
    fprintf(p->out, "\n| verdict | B / A | variant | case | remark |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct vkz_pair *pair = &c->pairs[i];
        char text[160], name[700];
        if (pair->verdict == VKZ_VERDICT_SAME)
            continue;
        fprintf(p->out, "| %s | %s | ", vkz_verdict_name(pair->verdict),
                ratio_text(pair->ratio, text));
        vkz_print_md(p->out, variant_of(pair));
        fprintf(p->out, " | ");
        vkz_print_md(p->out, vkz_record_case(pair->a, name, sizeof name));
        fprintf(p->out, " | ");
        vkz_print_md(p->out, remark(pair, text));
        fprintf(p->out, " |\n");
    }
}

// ---- CSV ----

static void csv_number(const struct printer *p, double value)
{
    fputc(',', p->out);
    vkz_print_csv_number(p->out, value, 9);
}

static void csv_ratio(const struct printer *p, struct vkz_ratio ratio)
{
    csv_number(p, ratio.value);
    csv_number(p, ratio.low);
    csv_number(p, ratio.high);
}

static void csv_row(const struct printer *p, const char *verdict, const struct vkz_record *a,
                    const struct vkz_record *b, struct vkz_ratio ratio, const char *text)
{
    const struct vkz_record *any = a->line ? a : b;
    const char *const texts[] = {any->op,           any->name,         any->variant,
                                 any->asked_kernel, any->asked_tuning, a->kernel,
                                 b->kernel};
    vkz_print_csv(p->out, verdict);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fputc(',', p->out);
        vkz_print_csv(p->out, texts[i]);
    }
    csv_number(p, a->hot.ns);
    csv_number(p, b->hot.ns);
    csv_ratio(p, ratio);
    fputc(',', p->out);
    vkz_print_csv(p->out, text);
    fputc('\n', p->out);
}

static void csv_means(const struct printer *p)
{
    const struct vkz_compare *c = p->c;
    const bool kernels = p->by == VKZ_BY_KERNEL;
    const struct vkz_mean *means = kernels ? c->kernels : c->ops;
    const size_t count = kernels ? c->kernel_count : c->op_count;
    fprintf(p->out, "%s,cases,ratio,low,high", kernels ? "kernel" : "op");
    for (int v = 0; v < VKZ_VERDICTS; v++)
        fprintf(p->out, ",%s", vkz_verdict_name(v));
    fputc('\n', p->out);
    for (size_t i = 0; i < count; i++) {
        vkz_print_csv(p->out, means[i].name);
        fprintf(p->out, ",%d", means[i].cases);
        csv_ratio(p, means[i].ratio);
        for (int v = 0; v < VKZ_VERDICTS; v++)
            fprintf(p->out, ",%d", means[i].verdicts[v]);
        fputc('\n', p->out);
    }
}

static void print_csv(const struct printer *p)
{
    const struct vkz_compare *c = p->c;
    const struct vkz_ratio none = {(double)NAN, (double)NAN, (double)NAN};
    if (p->by != VKZ_BY_CASE) {
        csv_means(p);
        return;
    }
    fprintf(p->out, "verdict,op,case,variant,asked_kernel,asked_tuning,kernel_a,kernel_b,"
                    "a_ns,b_ns,ratio,low,high,remark\n");
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct vkz_pair *pair = &c->pairs[i];
        char text[160];
        csv_row(p, vkz_verdict_name(pair->verdict), pair->a, pair->b, pair->ratio,
                remark(pair, text));
    }
    for (size_t i = 0; i < c->only_a_count; i++)
        csv_row(p, "missing", c->only_a[i], &vkz_record_none, none, "only in A");
    for (size_t i = 0; i < c->only_b_count; i++)
        csv_row(p, "missing", &vkz_record_none, c->only_b[i], none, "only in B");
}

// ---- JSON ----

static void add_number(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                       double value)
{
    if (isfinite(value))
        yyjson_mut_obj_add_real(doc, object, key, value);
    else
        yyjson_mut_obj_add_null(doc, object, key);
}

static void add_ratio(yyjson_mut_doc *doc, yyjson_mut_val *object, struct vkz_ratio ratio)
{
    add_number(doc, object, "ratio", ratio.value);
    add_number(doc, object, "low", ratio.low);
    add_number(doc, object, "high", ratio.high);
}

static void json_means(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key,
                       const struct vkz_mean *means, size_t count)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, key);
    for (size_t i = 0; i < count; i++) {
        yyjson_mut_val *mean = yyjson_mut_arr_add_obj(doc, array);
        yyjson_mut_obj_add_str(doc, mean, "name", means[i].name);
        yyjson_mut_obj_add_int(doc, mean, "cases", means[i].cases);
        add_ratio(doc, mean, means[i].ratio);
        yyjson_mut_val *verdicts = yyjson_mut_obj_add_obj(doc, mean, "verdicts");
        for (int v = 0; v < VKZ_VERDICTS; v++)
            yyjson_mut_obj_add_int(doc, verdicts, vkz_verdict_name(v),
                                   means[i].verdicts[v]);
    }
}

static void json_missing(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key,
                         const struct vkz_record **records, size_t count)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, key);
    for (size_t i = 0; i < count; i++) {
        yyjson_mut_val *line = yyjson_mut_arr_add_obj(doc, array);
        yyjson_mut_obj_add_str(doc, line, "case", records[i]->name);
        yyjson_mut_obj_add_str(doc, line, "asked_kernel", records[i]->asked_kernel);
        yyjson_mut_obj_add_str(doc, line, "asked_tuning", records[i]->asked_tuning);
        yyjson_mut_obj_add_str(doc, line, "variant",
                               records[i]->asked_variant);
    }
}

static bool print_json(const struct printer *p)
{
    const struct vkz_compare *c = p->c;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "a", c->a->file->path);
    yyjson_mut_obj_add_str(doc, root, "b", c->b->file->path);
    yyjson_mut_val *pairs = yyjson_mut_obj_add_arr(doc, root, "cases");
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct vkz_pair *pair = &c->pairs[i];
        char text[160];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, pairs);
        yyjson_mut_obj_add_str(doc, o, "verdict", vkz_verdict_name(pair->verdict));
        yyjson_mut_obj_add_str(doc, o, "op", pair->a->op);
        yyjson_mut_obj_add_str(doc, o, "case", pair->a->name);
        yyjson_mut_obj_add_str(doc, o, "variant", variant_of(pair));
        yyjson_mut_obj_add_str(doc, o, "asked_kernel", pair->a->asked_kernel);
        yyjson_mut_obj_add_str(doc, o, "asked_tuning", pair->a->asked_tuning);
        yyjson_mut_obj_add_str(doc, o, "kernel_a", pair->a->kernel);
        yyjson_mut_obj_add_str(doc, o, "kernel_b", pair->b->kernel);
        yyjson_mut_obj_add_bool(doc, o, "same_spirv", !pair->other_spirv);
        add_number(doc, o, "a_ns", pair->a->hot.ns);
        add_number(doc, o, "b_ns", pair->b->hot.ns);
        add_ratio(doc, o, pair->ratio);
        yyjson_mut_obj_add_strcpy(doc, o, "remark", remark(pair, text));
    }
    json_missing(doc, root, "only_a", c->only_a, c->only_a_count);
    json_missing(doc, root, "only_b", c->only_b, c->only_b_count);
    json_means(doc, root, "kernels", c->kernels, c->kernel_count);
    json_means(doc, root, "ops", c->ops, c->op_count);
    json_means(doc, root, "families", c->families, c->family_count);
    json_means(doc, root, "all", &c->all, 1);
    // A path may be no UTF-8.
    char *text = yyjson_mut_write(
        doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    if (text)
        fprintf(p->out, "%s\n", text);
    const bool written = text != NULL;
    free(text);
    yyjson_mut_doc_free(doc);
    return written;
}

enum vkz_status vkz_compare_print(const struct vkz_compare *compare, const char *format,
                                  enum vkz_compare_by by, FILE *out,
                                  const struct vkz_style *style, struct vkz_error *err)
{
    const struct vkz_style own = vkz_style_for(out);
    const struct printer p = {compare, by, out, style ? style : &own};
    if (strcmp(format, "text") == 0)
        print_text(&p);
    else if (strcmp(format, "md") == 0)
        print_md(&p);
    else if (strcmp(format, "csv") == 0)
        print_csv(&p);
    else if (strcmp(format, "json") != 0)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--format: expected text, md, csv or json, found %s", format);
    else if (!print_json(&p))
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    return VKZ_OK;
}
