// SPDX-License-Identifier: MIT
// host/report on what no sample file shows: floors from all kinds of ceilings, and files
// that nobody wrote in good faith.
#define _POSIX_C_SOURCE 200809L // mkdtemp, open_memstream

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/floor.h"
#include "report/json.h"
#include "report/lint.h"
#include "report/table.h"
#include "report/text.h"

// ---- floors
// -------------------------------------------------------------------------------

static const char ceilings_text[] =
    "{\"rates\":["
    "{\"op\":\"copy\",\"variant\":\"f32\",\"coopmat\":null,\"rate\":1e9,\"checked\":true}"
    ","
    "{\"op\":\"fma\",\"variant\":\"f32\",\"coopmat\":null,\"rate\":1e11,\"checked\":true}"
    ","
    "{\"op\":\"fma\",\"variant\":\"f32\",\"coopmat\":null,\"rate\":9e11,\"checked\":"
    "false},"
    "{\"op\":\"fma_f16\",\"variant\":\"f16\",\"coopmat\":null,\"rate\":2e11,\"checked\":"
    "true},"
    "{\"op\":\"exp2\",\"variant\":\"f32\",\"coopmat\":null,\"rate\":1e10,\"checked\":"
    "true},"
    "{\"op\":\"idot\",\"variant\":\"i32\",\"coopmat\":null,\"rate\":4e11,\"checked\":"
    "true},"
    "{\"op\":\"coopmat_mac\",\"coopmat\":\"f16,f16,f32,f32\",\"rate\":1e12,\"checked\":"
    "true},"
    "{\"op\":\"coopmat_mac\",\"coopmat\":\"f16,f16,f32,f32\",\"rate\":2e12,\"checked\":"
    "true}],"
    "\"sweep\":[{\"bytes\":1000,\"copy\":5e9,\"read\":4e9},"
    "{\"bytes\":100000,\"copy\":7e9,\"read\":9e9},"
    "{\"bytes\":10000000,\"copy\":1e9,\"read\":null}]}";

static struct vkz_floor floor_of(const char *ceilings, const char *work, bool cold)
{
    yyjson_doc *c = yyjson_read(ceilings, strlen(ceilings), 0);
    yyjson_doc *w = yyjson_read(work, strlen(work), 0);
    assert_non_null(c);
    assert_non_null(w);
    const struct vkz_floor floor =
        vkz_floor_find(yyjson_doc_get_root(c), yyjson_doc_get_root(w), cold);
    yyjson_doc_free(c);
    yyjson_doc_free(w);
    return floor;
}

static void expect_floor(const char *work, bool cold, double ns, const char *bound,
                         const char *ceiling)
{
    const struct vkz_floor floor = floor_of(ceilings_text, work, cold);
    assert_string_equal(floor.ceiling, ceiling);
    assert_string_equal(floor.bound, bound);
    assert_true(fabs(floor.ns - ns) < 1e-9 * ns);
}

static void test_floor_memory(void **state)
{
    (void)state;
    // The best at any footprint of at least the case's, then the last, then cold.
    expect_floor("{\"bytes\":500}", false, 500 / 9e9 * 1e9, "memory", "read");
    expect_floor("{\"bytes\":200000}", false, 2e5 / 1e9 * 1e9, "memory", "copy");
    expect_floor("{\"bytes\":1e9}", false, 1e9, "memory", "copy");
    expect_floor("{\"bytes\":500}", true, 500 / 1e9 * 1e9, "memory", "copy");
    // Read many times, but small: it is in the cache.
    expect_floor("{\"bytes\":1e9,\"tensor_bytes\":1000}", false, 1e9 / 9.0, "memory",
                 "read");
}

static void test_floor_compute(void **state)
{
    (void)state;
    expect_floor("{\"flops\":1e6,\"unit\":\"fma\"}", false, 1e4, "compute", "fma f32");
    expect_floor("{\"flops\":1e6,\"unit\":\"fma\",\"accumulate\":\"f16\"}", false, 5e3,
                 "compute", "fma f16");
    expect_floor("{\"flops\":1e6,\"unit\":\"exp2\"}", false, 1e5, "compute", "exp2");
    expect_floor("{\"flops\":1e6,\"unit\":\"int\"}", false, 2.5e3, "compute", "idot");
    expect_floor("{\"flops\":1e6,\"unit\":\"fma\",\"coopmat\":\"f16,f16,f32,f32\"}",
                 false, 500, "compute", "coopmat f16,f16,f32,f32");
    expect_floor("{\"flops\":1e6,\"coopmat\":\"bf16,bf16,f32,f32\"}", false, 1e4,
                 "compute", "fma f32 instead of coopmat bf16,bf16,f32,f32");
    expect_floor("{\"flops\":1e6,\"bytes\":500,\"unit\":\"fma\"}", false, 1e4, "compute",
                 "fma f32");
    expect_floor("{\"flops\":10,\"bytes\":500,\"unit\":\"fma\"}", false, 500 / 9.0,
                 "memory", "read");
}

static void test_floor_nothing(void **state)
{
    (void)state;
    assert_true(isnan(vkz_floor_find(NULL, NULL, false).ns));
    assert_true(isnan(floor_of("{}", "{\"flops\":1,\"bytes\":1}", false).ns));
    assert_true(isnan(floor_of("[1]", "{\"flops\":1,\"bytes\":1}", true).ns));
    assert_true(isnan(floor_of(ceilings_text, "{\"flops\":0,\"bytes\":0}", false).ns));
    assert_true(
        isnan(floor_of(ceilings_text, "{\"flops\":null,\"bytes\":\"1\"}", true).ns));
    assert_true(isnan(floor_of("{\"rates\":{},\"sweep\":[1,null,{\"bytes\":\"x\"}]}",
                               "{\"flops\":1,\"bytes\":1}", false)
                          .ns));
    assert_true(vkz_floor_is_substitute("fma f32 instead of idot"));
    assert_false(vkz_floor_is_substitute("fma f32"));
    // Without a curve the rates of the search serve.
    const struct vkz_floor floor =
        floor_of("{\"rates\":[{\"op\":\"read\",\"rate\":2e9}]}", "{\"bytes\":4}", true);
    assert_string_equal(floor.ceiling, "read");
}

// ---- numbers
// ------------------------------------------------------------------------------

static void test_numbers(void **state)
{
    static const struct {
        double value;
        int digits;
        const char *text;
    } numbers[] = {
        {9.996, 3, "10.0"},    {9.994, 3, "9.99"},   {0.97, 3, "0.97"},
        {12345.6, 4, "12346"}, {999.96, 4, "1000"},  {0, 3, "0.00"},
        {1e-9, 3, "1.0e-09"},  {3e12, 3, "3.0e+12"}, {-1.5, 2, "-1.5"},
        {NAN, 3, ""},          {INFINITY, 3, ""},
    };
    char out[VKZ_NUMBER_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_string_equal(vkz_number_text(numbers[i].value, numbers[i].digits, out),
                            numbers[i].text);
    assert_string_equal(vkz_bytes_text(1536, out), "1.5 KiB");
    assert_string_equal(vkz_bytes_text(NAN, out), "?");
    assert_string_equal(vkz_bytes_text(1e300, out), "?");
    assert_string_equal(vkz_time_text(2100, false, out), "2.10 us");
    assert_string_equal(vkz_rate_text(9.51e13, 'f', out), "95.1 TFLOP/s");
}

static void test_style(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    setenv("LC_ALL", "C.UTF-8", 1);
    struct vkz_style style = vkz_style_for(f);
    assert_int_equal(style.width, 160); // no terminal
    assert_false(style.color);
    assert_true(style.utf8);
    setenv("LC_ALL", "C", 1);
    assert_false(vkz_style_for(f).utf8);
    fclose(f);
}

// ---- files
// --------------------------------------------------------------------------------

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/vkzoo-report-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file.jsonl", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

// Every report on the file: whatever it holds, they end, in printable text.
static void expect_survival(void)
{
    struct vkz_result_file *file = NULL;
    struct vkz_table *table = NULL;
    struct vkz_lint *lint = NULL;
    struct vkz_error err = {0};
    const struct vkz_style style = {.width = 80, .utf8 = true};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    if (vkz_result_file_load(path, &file, &err) == VKZ_OK) {
        assert_int_equal(vkz_table_create(&table, NULL), VKZ_OK);
        assert_int_equal(vkz_table_add_file(table, file, NULL), VKZ_OK);
        for (size_t i = 0; i < file->case_count && i < 20; i++)
            assert_int_equal(vkz_table_add(table, file->cases[i].value, NULL), VKZ_OK);
        vkz_table_print(table, out, &style);
        vkz_table_print_summary(
            table, out, &style,
            &(struct vkz_table_summary){.path = path, .header = file->header});
        vkz_ceilings_print(yyjson_obj_get(file->header, "ceilings"), out, &style);
    } else {
        assert_null(file);
        assert_string_not_equal(err.message, "");
        assert_null(strchr(err.message, '\n'));
    }
    assert_int_equal(vkz_lint_create(&lint, NULL), VKZ_OK);
    assert_int_equal(vkz_lint_file(lint, path, NULL), VKZ_OK);
    vkz_lint_print(lint, out, &style);
    assert_int_equal(vkz_lint_json(lint, out, NULL), VKZ_OK);
    vkz_lint_destroy(&lint);
    vkz_table_destroy(&table);
    vkz_result_file_destroy(&file);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < size; i++)
        assert_false(((unsigned char)text[i] < 0x20 && text[i] != '\n') ||
                     text[i] == 0x7f);
    free(text);
}

// The file is refused with words that start with the place.
static void expect_refusal(const char *bytes, size_t size, const char *place,
                           const char *words)
{
    struct vkz_result_file *file = NULL;
    struct vkz_error err = {0};
    char start[128];
    write_file(bytes, size);
    assert_int_equal(vkz_result_file_load(path, &file, &err), VKZ_BAD_INPUT);
    assert_null(file);
    snprintf(start, sizeof start, "%s%s", path, place);
    assert_memory_equal(err.message, start, strlen(start));
    assert_non_null(strstr(err.message, words));
    expect_survival();
}

// The file loads, with this many cases and troubles; the first trouble is at `line`.
static void expect_load(const char *bytes, size_t size, size_t cases, size_t troubles,
                        int line, const char *words)
{
    struct vkz_result_file *file = NULL;
    struct vkz_error err = {0};
    write_file(bytes, size);
    assert_int_equal(vkz_result_file_load(path, &file, &err), VKZ_OK);
    assert_int_equal(file->case_count, cases);
    assert_int_equal(file->trouble_count, troubles);
    if (troubles > 0) {
        assert_int_equal(file->troubles[0].line, line);
        assert_non_null(strstr(file->troubles[0].message, words));
    }
    vkz_result_file_destroy(&file);
    expect_survival();
}

#define BYTES(text) text, sizeof text - 1
#define HEADER "{\"schema\":\"vkzoo-result/1\",\"type\":\"header\",\"verb\":\"bench\"}\n"
#define CASE(id)                                                                         \
    "{\"type\":\"case\",\"verb\":\"bench\",\"op\":\"gemm\",\"case\":\"" id "\","         \
    "\"status\":\"ok\"}\n"

static void test_refused(void **state)
{
    (void)state;
    expect_refusal(BYTES(""), ":1: ", "empty");
    expect_refusal(BYTES("\n"), ":1: ", "not JSON");
    expect_refusal(BYTES("\0\0\0\0"), ":1: ", "not JSON");
    expect_refusal(BYTES("{\"schema\":\"vkzoo-result/1\""), ":1: ", "not JSON");
    expect_refusal(BYTES("{\"schema\":\"vkzoo-result/2\"}\n"), ":1: ", "vkzoo-result/2");
    expect_refusal(BYTES("{\"schema\":7}\n"), ":1: ", "no vkzoo-result/1 header");
    expect_refusal(BYTES("[]\n"), ":1: ", "no vkzoo-result/1 header");
    expect_refusal(BYTES("\x7f"
                         "ELF\x02\x01\x01\n"),
                   ":1: ", "not JSON");
    expect_refusal(BYTES("\xff\xfe{\0}\0"), ":1: ", "not JSON");
    struct vkz_result_file *file = NULL;
    struct vkz_error err = {0};
    unlink(path);
    assert_int_equal(vkz_result_file_load(path, &file, &err), VKZ_BAD_INPUT);
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(vkz_result_file_load(folder, &file, &err), VKZ_BAD_INPUT);
    assert_non_null(strstr(err.message, "directory"));
    expect_survival();
}

static void test_loaded(void **state)
{
    (void)state;
    expect_load(BYTES(HEADER), 0, 0, 0, "");
    expect_load(BYTES(HEADER CASE("gemm@m=1") CASE("gemm@m=2")), 2, 0, 0, "");
    expect_load(BYTES(HEADER CASE("gemm@m=1") "{\"type\":\"case\",\"ver"), 1, 1, 3,
                "cut off in mid-line");
    expect_load(BYTES(HEADER "{\"type\":\"ca\0se\"}\n" CASE("gemm@m=1")), 1, 1, 2,
                "not JSON");
    expect_load(BYTES(HEADER "\n\n" CASE("gemm@m=1")), 1, 2, 2, "not JSON");
    expect_load(BYTES(HEADER "{\"type\":\"weather\"}\n"), 0, 1, 2, "weather");
    expect_load(BYTES(HEADER "7\nnull\n[]\n{}\n"), 0, 4, 2, "not an object");
    expect_load(BYTES(HEADER CASE("gemm@m=1") HEADER CASE("gemm@m=2") "nonsense\n"), 1, 2,
                3, "second header");
    expect_load(BYTES(HEADER "{\"type\":\"case\",\"seed\":1e999}\n"), 0, 1, 2,
                "not JSON");
    expect_load(BYTES(HEADER "{\"type\":\"case\",\"op\":\"\xc3\x28\"}\n"), 0, 1, 2,
                "not JSON");
    // Whatever could drive a terminal arrives as text.
    expect_load(BYTES(HEADER
                      "{\"type\":\"case\",\"op\":\"\\u001b[2J\\u009b\",\"case\":"
                      "\"x@\\r\\u0000\\u007f=,,=,@\",\"kernel\":\"\\b\",\"status\":"
                      "\"\\u001b]0;x\\u0007\",\"reason\":\"\\u001b[31m\\n\","
                      "\"repro\":\"\\u0007\"}\n"),
                1, 0, 0, "");
}

static void test_later_line_counts(void **state)
{
    (void)state;
    struct vkz_result_file *file = NULL;
    write_file(BYTES(HEADER CASE("gemm@m=1") CASE("gemm@m=2") CASE(
        "gemm@m=1") "{\"type\":\"end\",\"status\":\"complete\"}\n"));
    assert_int_equal(vkz_result_file_load(path, &file, NULL), VKZ_OK);
    assert_int_equal(file->case_count, 3);
    assert_true(file->cases[0].superseded);
    assert_false(file->cases[1].superseded);
    assert_false(file->cases[2].superseded);
    assert_int_equal(file->end_line, 5);
    assert_int_equal(file->line_count, 5);
    struct vkz_table *table = NULL;
    assert_int_equal(vkz_table_create(&table, NULL), VKZ_OK);
    for (size_t i = 0; i < file->case_count; i++)
        assert_int_equal(vkz_table_add(table, file->cases[i].value, NULL), VKZ_OK);
    assert_int_equal(vkz_table_count(table).cases, 2);
    assert_int_equal(vkz_table_count(table).ok, 2);
    vkz_table_destroy(&table);
    vkz_result_file_destroy(&file);
}

static void test_end_of_a_cut_off_resume(void **state)
{
    (void)state;
    struct vkz_result_file *file = NULL;
    // An end line counts only when nothing follows it.
    write_file(
        BYTES(HEADER "{\"type\":\"end\",\"status\":\"interrupted\"}\n" CASE("gemm@m=1")));
    assert_int_equal(vkz_result_file_load(path, &file, NULL), VKZ_OK);
    assert_null(file->end);
    vkz_result_file_destroy(&file);
}

static void test_big(void **state)
{
    (void)state;
    // One line of 10 MB, and one nested a million deep.
    const size_t head = sizeof HEADER - 1, size = 10 * 1000 * 1000;
    char *bytes = malloc(head + size + 1);
    assert_non_null(bytes);
    memcpy(bytes, HEADER, head);
    memset(bytes + head, 'x', size);
    static const char open[] = "{\"type\":\"case\",\"op\":\"";
    memcpy(bytes + head, open, sizeof open - 1);
    memcpy(bytes + head + size - 3, "\"}\n", 3);
    expect_load(bytes, head + size, 1, 0, 0, "");
    memset(bytes + head, '[', 1000 * 1000);
    bytes[head + 1000 * 1000] = '\n';
    expect_load(bytes, head + 1000 * 1000 + 1, 0, 1, 2, "not JSON");
    free(bytes);
}

static void test_many_lines(void **state)
{
    (void)state;
    struct vkz_result_file *file = NULL;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(HEADER, f);
    for (int i = 0; i < 60000; i++)
        fprintf(f, "{\"type\":\"case\",\"verb\":\"check\",\"case\":\"op@m=%d\"}\n",
                i % 30000);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(vkz_result_file_load(path, &file, NULL), VKZ_OK);
    assert_int_equal(file->case_count, 60000);
    size_t kept = 0;
    for (size_t i = 0; i < file->case_count; i++)
        kept += !file->cases[i].superseded;
    assert_int_equal(kept, 30000);
    vkz_result_file_destroy(&file);
}

// ---- the sample with all kinds of trouble, broken further
// ---------------------------------

static char *read_sample(size_t *size)
{
    const char *name = getenv("VKZ_SAMPLE");
    FILE *f = name ? fopen(name, "rb") : NULL;
    char *bytes = malloc(1 << 20);
    if (!f)
        skip();
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

// Bytes changed, lines cut out, the end cut off: seeded, so a failure comes again.
static void test_mangled(void **state)
{
    (void)state;
    size_t size;
    char *sample = read_sample(&size), *bytes = malloc(size);
    uint64_t random = 1;
    assert_non_null(bytes);
    for (int round = 0; round < 400; round++) {
        size_t length = size;
        memcpy(bytes, sample, size);
        for (uint64_t n = next_random(&random) % 12; n > 0; n--) {
            static const char likely[] = "{}[]\",:0-eE.tfn\\\n\x80";
            bytes[next_random(&random) % size] =
                likely[next_random(&random) % (sizeof likely - 1)];
        }
        if (round % 4 == 0)
            length = next_random(&random) % size;
        write_file(bytes, length);
        expect_survival();
    }
    free(bytes);
    free(sample);
}

// Every value of a line in turn becomes one of another type.
static int mistype(yyjson_mut_doc *doc, yyjson_mut_val *object, int *countdown, int kind)
{
    static const char *const kinds[] = {
        "null", "true", "-1",    "1e308",    "18446744073709551615",
        "[]",   "{}",   "\"x\"", "[[null]]", "-0.0"};
    yyjson_mut_val *key;
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    while ((key = yyjson_mut_obj_iter_next(&iter))) {
        yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(key);
        if ((*countdown)-- == 0) {
            yyjson_doc *other = yyjson_read(kinds[kind], strlen(kinds[kind]), 0);
            yyjson_mut_val *copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(other));
            yyjson_doc_free(other);
            // In place: the key's text lives in the document.
            return yyjson_mut_obj_replace(
                object, yyjson_mut_strcpy(doc, yyjson_mut_get_str(key)), copy);
        }
        yyjson_mut_val *first =
            yyjson_mut_is_arr(value) ? yyjson_mut_arr_get_first(value) : value;
        if (yyjson_mut_is_obj(first) && mistype(doc, first, countdown, kind))
            return 1;
    }
    return 0;
}

static void test_mistyped(void **state)
{
    (void)state;
    size_t size;
    char *sample = read_sample(&size);
    char *lines[3] = {sample}; // header, a case
    for (int i = 1; i < 3; i++) {
        lines[i] = strchr(lines[i - 1], '\n') + 1;
        lines[i][-1] = '\0';
    }
    for (int which = 0; which < 2; which++) {
        for (int step = 0, more = 1; more; step++) {
            yyjson_doc *doc = yyjson_read(lines[which], strlen(lines[which]), 0);
            yyjson_mut_doc *mut = yyjson_doc_mut_copy(doc, NULL);
            int countdown = step / 10;
            more = mistype(mut, yyjson_mut_doc_get_root(mut), &countdown, step % 10);
            char *line = yyjson_mut_write(mut, 0, NULL);
            FILE *f = fopen(path, "wb");
            assert_non_null(f);
            fprintf(f, "%s\n%s\n", which == 0 ? line : lines[0],
                    which == 1 ? line : lines[1]);
            assert_int_equal(fclose(f), 0);
            free(line);
            yyjson_mut_doc_free(mut);
            yyjson_doc_free(doc);
            expect_survival();
        }
    }
    free(sample);
}

static void test_lint_status(void **state)
{
    (void)state;
    struct vkz_lint *lint = NULL;
    int count = 0;
    write_file(BYTES("x"));
    assert_int_equal(vkz_lint_create(&lint, NULL), VKZ_OK);
    assert_int_equal(vkz_lint_exit_status(lint, true), 0);
    assert_int_equal(vkz_lint_file(lint, path, NULL), VKZ_OK);
    assert_int_equal(vkz_lint_exit_status(lint, false), 1);
    const struct vkz_lint_finding *findings = vkz_lint_findings(lint, &count);
    assert_int_equal(count, 1);
    assert_string_equal(findings[0].kind, "unreadable");
    assert_string_equal(findings[0].path, path);
    assert_int_equal(findings[0].line, 1);
    vkz_lint_destroy(&lint);
    vkz_lint_destroy(&lint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floor_memory),
        cmocka_unit_test(test_floor_compute),
        cmocka_unit_test(test_floor_nothing),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_style),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test(test_later_line_counts),
        cmocka_unit_test(test_end_of_a_cut_off_resume),
        cmocka_unit_test(test_big),
        cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_mistyped),
        cmocka_unit_test(test_lint_status),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
