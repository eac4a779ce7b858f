// SPDX-License-Identifier: MIT
// The suite parser: lines to ops, kernels and cases; products and zips of values.
// See zoo/suite.h for the language.
#include "zoo/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/expr.h"
#include "zoo/settings.h"

enum { MAX_CASES = 100000, MAX_WORDS = 64, MAX_FILE_BYTES = 1 << 24 };

struct span {
    const char *at;
    size_t size;
};

// One setting of a case line: `m:n=1:2,3:4` has 2 names and 2 rows.
struct group {
    struct span names[VKZ_SETTINGS_MAX];
    int name_count;
    size_t first_row, row_count; // in parser.rows
};

struct parser {
    struct vkz_suite *suite;
    struct vkz_error *err;
    uint64_t seed;
    const char *line_start;
    int line;
    struct span words[MAX_WORDS];
    int word_count;
    struct group groups[MAX_WORDS];
    struct span *rows; // of all groups of a line
    size_t row_count, row_capacity;
    int total_cases;
    int case_capacity; // of the current op
    int *table;        // the current op's cases by id: index + 1, or 0
    size_t table_size; // a power of two, or 0
};

static enum vkz_status fail(struct parser *p, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum vkz_status fail(struct parser *p, const char *at, const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return vkz_error_set(p->err, VKZ_BAD_INPUT, "%s:%d:%d: %s", p->suite->name, p->line,
                         (int)(at - p->line_start) + 1, message);
}

static enum vkz_status fail_memory(struct parser *p)
{
    return vkz_error_set(p->err, VKZ_FAILED, "%s:%d: out of memory", p->suite->name,
                         p->line);
}

static int shown(struct span s) { return s.size > 60 ? 60 : (int)s.size; }

static bool span_is(struct span s, const char *text)
{
    return strlen(text) == s.size && memcmp(s.at, text, s.size) == 0;
}

// Grows *array, which has room for *capacity elements, to hold `count`.
static bool reserve(void *array, size_t *capacity, size_t count, size_t element)
{
    void *old;
    memcpy(&old, array, sizeof old);
    if (count <= *capacity)
        return true;
    size_t wanted = *capacity ? *capacity : 8;
    while (wanted < count)
        wanted *= 2;
    void *grown = realloc(old, wanted * element);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

static struct vkz_suite_op *current_op(struct parser *p)
{
    return p->suite->op_count ? &p->suite->ops[p->suite->op_count - 1] : NULL;
}

// ---- op and kernel lines ----

// A user's suite may leave its kernels out: then all of the op's are meant.
static enum vkz_status finish_op(struct parser *p)
{
    struct vkz_suite_op *op = current_op(p);
    if (!op || op->kernel_count)
        return VKZ_OK;
    size_t capacity = 0;
    for (int i = 0; vkz_kernels[i]; i++) {
        if (strcmp(vkz_kernels[i]->op, op->op->name) != 0)
            continue;
        if (!reserve(&op->kernels, &capacity, (size_t)op->kernel_count + 1,
                     sizeof *op->kernels))
            return fail_memory(p);
        op->kernels[op->kernel_count++] = vkz_kernels[i];
    }
    return VKZ_OK;
}

static enum vkz_status one_name(struct parser *p, const char *what, char out[128])
{
    if (p->word_count != 2)
        return fail(p, p->words[p->word_count > 2 ? 2 : 0].at, "expected `%.*s %s`",
                    (int)p->words[0].size, p->words[0].at, what);
    if (p->words[1].size >= 128)
        return fail(p, p->words[1].at, "expected %s, found a word of %zu characters",
                    what, p->words[1].size);
    memcpy(out, p->words[1].at, p->words[1].size);
    out[p->words[1].size] = '\0';
    return VKZ_OK;
}

static enum vkz_status parse_op(struct parser *p)
{
    char name[128];
    enum vkz_status status = one_name(p, "NAME", name);
    if (status == VKZ_OK)
        status = finish_op(p);
    if (status != VKZ_OK)
        return status;
    const struct vkz_op *op = vkz_op_find(name);
    if (!op)
        return fail(p, p->words[1].at,
                    "expected an op of this build (`vkzoo list` shows them), found '%s'",
                    name);
    for (int i = 0; i < p->suite->op_count; i++) {
        if (p->suite->ops[i].op == op)
            return fail(p, p->words[1].at,
                        "op %s was opened in line %d: expected one block an op", name,
                        p->suite->ops[i].line);
    }
    size_t capacity = (size_t)p->suite->op_count;
    if (!reserve(&p->suite->ops, &capacity, capacity + 1, sizeof *p->suite->ops))
        return fail_memory(p);
    p->suite->ops[p->suite->op_count++] =
        (struct vkz_suite_op){.op = op, .line = p->line};
    p->case_capacity = 0;
    free(p->table);
    p->table = NULL;
    p->table_size = 0;
    return VKZ_OK;
}

static enum vkz_status parse_kernel(struct parser *p)
{
    char name[128];
    const enum vkz_status status = one_name(p, "NAME", name);
    if (status != VKZ_OK)
        return status;
    struct vkz_suite_op *op = current_op(p);
    if (!op)
        return fail(p, p->words[0].at, "expected an `op NAME` line before kernels");
    const struct vkz_kernel *kernel = vkz_kernel_find(name);
    if (!kernel)
        return fail(
            p, p->words[1].at,
            "expected a kernel of this build (`vkzoo list` shows them), found '%s'",
            name);
    if (strcmp(kernel->op, op->op->name) != 0)
        return fail(p, p->words[1].at, "expected a kernel of op %s, %s is one of op %s",
                    op->op->name, name, kernel->op);
    for (int i = 0; i < op->kernel_count; i++) {
        if (op->kernels[i] == kernel)
            return fail(p, p->words[1].at, "kernel %s is listed twice", name);
    }
    size_t capacity = (size_t)op->kernel_count;
    if (!reserve(&op->kernels, &capacity, capacity + 1, sizeof *op->kernels))
        return fail_memory(p);
    op->kernels[op->kernel_count++] = kernel;
    return VKZ_OK;
}

// ---- case lines ----

static enum vkz_status check_tags(struct parser *p, struct span tags)
{
    bool start = true;
    for (size_t i = 0; i < tags.size; i++) {
        const char c = tags.at[i];
        const bool letter = c >= 'a' && c <= 'z';
        if (start ? !letter : !letter && c != '-' && c != ',' && (c < '0' || c > '9'))
            return fail(
                p, tags.at + i,
                "expected tags before the settings, as in `case smoke,check m=64`");
        start = c == ',';
    }
    if (start)
        return fail(p, tags.at + tags.size, "expected a tag after ','");
    if (tags.size >= sizeof(((struct vkz_case *)0)->tags))
        return fail(p, tags.at, "expected at most %zu characters of tags",
                    sizeof(((struct vkz_case *)0)->tags) - 1);
    return VKZ_OK;
}

// Takes the next item of a list from its front; items may be empty.
static bool next_item(struct span *list, char separator, bool *more, struct span *item)
{
    if (!*more)
        return false;
    const char separators[2] = {separator, '\0'};
    item->at = list->at;
    item->size = vkz_span_item(list->at, list->size, separators);
    *more = item->size < list->size;
    if (*more) {
        list->at += item->size + 1;
        list->size -= item->size + 1;
    }
    return true;
}

static enum vkz_status parse_names(struct parser *p, struct group *group,
                                   struct span names)
{
    struct span name;
    group->name_count = 0;
    for (bool more = true; next_item(&names, ':', &more, &name);) {
        if (name.size == 0)
            return fail(p, name.at, "expected a name");
        if (group->name_count == VKZ_SETTINGS_MAX)
            return fail(p, name.at, "expected at most %d names", VKZ_SETTINGS_MAX);
        group->names[group->name_count++] = name;
    }
    return VKZ_OK;
}

static enum vkz_status check_row(struct parser *p, const struct group *group,
                                 struct span row)
{
    struct span value;
    int count = 0;
    for (bool more = true; next_item(&row, ':', &more, &value); count++) {
        if (value.size == 0)
            return fail(p, value.at, "expected a value");
        if (count == group->name_count)
            return fail(p, value.at, "expected %d value%s between ':'", group->name_count,
                        group->name_count == 1 ? "" : "s");
    }
    if (count < group->name_count)
        return fail(p, row.at + row.size, "expected ':' and %d more value%s",
                    group->name_count - count, group->name_count - count == 1 ? "" : "s");
    return VKZ_OK;
}

static enum vkz_status parse_group(struct parser *p, struct span word,
                                   struct group *group)
{
    const char *equals = memchr(word.at, '=', word.size);
    if (!equals)
        return fail(p, word.at, "expected name=value, found '%.*s'", shown(word),
                    word.at);
    const size_t name_size = (size_t)(equals - word.at);
    enum vkz_status status = parse_names(p, group, (struct span){word.at, name_size});
    struct span values = {equals + 1, word.size - name_size - 1}, row;
    group->first_row = p->row_count;
    for (bool more = true; status == VKZ_OK && next_item(&values, ',', &more, &row);) {
        status = check_row(p, group, row);
        if (status != VKZ_OK)
            break;
        if (!reserve(&p->rows, &p->row_capacity, p->row_count + 1, sizeof *p->rows))
            return fail_memory(p);
        p->rows[p->row_count++] = row;
    }
    group->row_count = p->row_count - group->first_row;
    return status;
}

static uint64_t hash_id(const char *id)
{
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
    return hash;
}

// The slot of the table where `id` is or belongs.
static int *table_find(struct parser *p, const struct vkz_suite_op *op, const char *id)
{
    size_t i = (size_t)hash_id(id) & (p->table_size - 1);
    while (p->table[i] && strcmp(op->cases[p->table[i] - 1].id, id) != 0)
        i = (i + 1) & (p->table_size - 1);
    return &p->table[i];
}

static bool table_grow(struct parser *p, const struct vkz_suite_op *op)
{
    if ((size_t)op->case_count * 2 < p->table_size)
        return true;
    const size_t size = p->table_size ? p->table_size * 4 : 64;
    int *table = calloc(size, sizeof *table);
    if (!table)
        return false;
    free(p->table);
    p->table = table;
    p->table_size = size;
    for (int i = 0; i < op->case_count; i++)
        *table_find(p, op, op->cases[i].id) = i + 1;
    return true;
}

// A case that is written twice is one case with the tags of both lines.
static enum vkz_status merge_tags(struct parser *p, struct vkz_case *c, struct span tags)
{
    struct span tag;
    for (bool more = true; next_item(&tags, ',', &more, &tag);) {
        char name[sizeof c->tags];
        memcpy(name, tag.at, tag.size); // check_tags() bounds it
        name[tag.size] = '\0';
        if (vkz_tag_match(c->tags, name))
            continue;
        const size_t used = strlen(c->tags);
        if (used + 1 + tag.size >= sizeof c->tags)
            return fail(p, tag.at, "too many tags: this case is in line %d as %s",
                        c->line, c->tags);
        snprintf(c->tags + used, sizeof c->tags - used, ",%s", name);
    }
    return VKZ_OK;
}

static enum vkz_status add_case(struct parser *p, const struct vkz_setting *settings,
                                int count)
{
    struct vkz_suite_op *op = current_op(p);
    struct vkz_error inner = {VKZ_OK, ""};
    struct vkz_case c;
    int wrong;
    if (vkz_case_build(op->op, NULL, settings, count, p->seed, &c, &wrong, &inner) !=
        VKZ_OK)
        return fail(p, wrong >= 0 ? settings[wrong].name : p->words[0].at, "%s",
                    inner.message);
    const struct span tags = p->words[1];
    if (!table_grow(p, op))
        return fail_memory(p);
    int *slot = table_find(p, op, c.id);
    if (*slot)
        return merge_tags(p, &op->cases[*slot - 1], tags);
    size_t capacity = (size_t)p->case_capacity;
    if (!reserve(&op->cases, &capacity, (size_t)op->case_count + 1, sizeof *op->cases))
        return fail_memory(p);
    p->case_capacity = (int)capacity;
    memcpy(c.tags, tags.at, tags.size);
    c.tags[tags.size] = '\0';
    c.file = p->suite->name;
    c.line = p->line;
    op->cases[op->case_count++] = c;
    *slot = op->case_count;
    return VKZ_OK;
}

// The settings of one combination: row number row[i] of each group.
static enum vkz_status add_combination(struct parser *p, int group_count,
                                       const size_t *row)
{
    struct vkz_setting settings[VKZ_SETTINGS_MAX];
    int count = 0;
    for (int g = 0; g < group_count; g++) {
        const struct group *group = &p->groups[g];
        struct span values = p->rows[group->first_row + row[g]], value;
        int i = 0;
        for (bool more = true; next_item(&values, ':', &more, &value); i++) {
            if (count == VKZ_SETTINGS_MAX)
                return fail(p, group->names[i].at, "expected at most %d settings",
                            VKZ_SETTINGS_MAX);
            settings[count++] = (struct vkz_setting){
                .name = group->names[i].at,
                .name_size = group->names[i].size,
                .value = value.at,
                .value_size = value.size,
            };
        }
    }
    return add_case(p, settings, count);
}

static enum vkz_status parse_case(struct parser *p)
{
    if (!current_op(p))
        return fail(p, p->words[0].at, "expected an `op NAME` line before cases");
    if (p->word_count < 2)
        return fail(p, p->words[0].at + 4,
                    "expected tags, as in `case smoke,check m=64`");
    enum vkz_status status = check_tags(p, p->words[1]);
    const int group_count = p->word_count - 2;
    size_t total = 1;
    p->row_count = 0;
    for (int g = 0; g < group_count && status == VKZ_OK; g++) {
        status = parse_group(p, p->words[g + 2], &p->groups[g]);
        if (status != VKZ_OK)
            break;
        total *= p->groups[g].row_count;
        if (total > (size_t)(MAX_CASES - p->total_cases))
            return fail(p, p->words[g + 2].at,
                        "the product of the values passes %d cases in this file",
                        MAX_CASES);
    }
    if (status != VKZ_OK)
        return status;
    p->total_cases += (int)total;
    size_t row[MAX_WORDS] = {0};
    for (size_t i = 0; i < total && status == VKZ_OK; i++) {
        status = add_combination(p, group_count, row);
        for (int g = group_count - 1; g >= 0; g--) { // the last group runs fastest
            if (++row[g] < p->groups[g].row_count)
                break;
            row[g] = 0;
        }
    }
    return status;
}

// ---- Lines ----

static enum vkz_status split_words(struct parser *p, struct span line)
{
    const char *hash = memchr(line.at, '#', line.size);
    if (hash)
        line.size = (size_t)(hash - line.at);
    p->word_count = 0;
    for (size_t i = 0; i < line.size; i++) {
        const unsigned char c = (unsigned char)line.at[i];
        if ((c < 32 && c != '\t' && c != '\r') || c > 126)
            return fail(p, line.at + i, "expected plain text, found byte 0x%02x", c);
    }
    while (line.size > 0) {
        const size_t size = vkz_span_item(line.at, line.size, " \t\r");
        if (size > 0 && p->word_count == MAX_WORDS)
            return fail(p, line.at, "expected at most %d words a line", MAX_WORDS);
        if (size > 0)
            p->words[p->word_count++] = (struct span){line.at, size};
        const size_t step = size < line.size ? size + 1 : size;
        line.at += step;
        line.size -= step;
    }
    return VKZ_OK;
}

static enum vkz_status parse_line(struct parser *p, struct span line)
{
    const enum vkz_status status = split_words(p, line);
    if (status != VKZ_OK || p->word_count == 0)
        return status;
    if (span_is(p->words[0], "op"))
        return parse_op(p);
    if (span_is(p->words[0], "kernel"))
        return parse_kernel(p);
    if (span_is(p->words[0], "case"))
        return parse_case(p);
    return fail(p, p->words[0].at, "expected op, kernel or case, found '%.*s'",
                shown(p->words[0]), p->words[0].at);
}

static enum vkz_status parse_text(struct parser *p, const char *text, size_t size)
{
    enum vkz_status status = VKZ_OK;
    for (size_t at = 0; at < size && status == VKZ_OK;) {
        const char *newline = memchr(text + at, '\n', size - at);
        const size_t end = newline ? (size_t)(newline - text) : size;
        p->line++;
        p->line_start = text + at;
        status = parse_line(p, (struct span){text + at, end - at});
        at = end + 1;
    }
    return status == VKZ_OK ? finish_op(p) : status;
}

enum vkz_status vkz_suite_parse(const char *name, const char *text, size_t size,
                                uint64_t seed, struct vkz_suite *out,
                                struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    struct vkz_suite suite = {.name = malloc(strlen(name) + 1)};
    struct parser *p = calloc(1, sizeof *p);
    char *copy = malloc(size + 1); // with a NUL: numbers are read with strtod
    *out = (struct vkz_suite){0};
    if (!suite.name || !p || !copy) {
        status = vkz_error_set(err, VKZ_FAILED, "%s: out of memory", name);
        goto done;
    }
    strcpy(suite.name, name);
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    p->suite = &suite;
    p->err = err;
    p->seed = seed;
    status = parse_text(p, copy, size);

done:
    if (p) {
        free(p->rows);
        free(p->table);
    }
    free(p);
    free(copy);
    if (status == VKZ_OK)
        *out = suite;
    else
        vkz_suite_finish(&suite);
    return status;
}

enum vkz_status vkz_suite_load(const char *path, uint64_t seed, struct vkz_suite *out,
                               struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    const char *slash = strrchr(path, '/');
    char *text = malloc(MAX_FILE_BYTES);
    FILE *file = fopen(path, "rb");
    *out = (struct vkz_suite){0};
    if (!text || !file) {
        status =
            vkz_error_set(err, VKZ_BAD_INPUT, "%s: cannot open this suite file", path);
        goto done;
    }
    const size_t size = fread(text, 1, MAX_FILE_BYTES, file);
    if (ferror(file))
        status =
            vkz_error_set(err, VKZ_BAD_INPUT, "%s: cannot read this suite file", path);
    else if (size == MAX_FILE_BYTES)
        status = vkz_error_set(err, VKZ_BAD_INPUT, "%s: expected less than 16 MiB", path);
    else
        status = vkz_suite_parse(slash ? slash + 1 : path, text, size, seed, out, err);

done:
    if (file)
        fclose(file);
    free(text);
    return status;
}

void vkz_suite_finish(struct vkz_suite *suite)
{
    for (int i = 0; i < suite->op_count; i++) {
        free(suite->ops[i].kernels);
        free(suite->ops[i].cases);
    }
    free(suite->ops);
    free(suite->name);
    *suite = (struct vkz_suite){0};
}

bool vkz_tag_match(const char *tags, const char *tag)
{
    const size_t size = strlen(tag);
    while (*tags) {
        const size_t item = strcspn(tags, ",");
        if (item == size && memcmp(tags, tag, size) == 0)
            return true;
        tags += item;
        tags += *tags == ',';
    }
    return false;
}
