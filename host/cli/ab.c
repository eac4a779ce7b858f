// SPDX-License-Identifier: MIT
// bench --ab: two settings of the same cases, in turns, so that what drifts while they run
// weighs on both alike. Each side has a worker of its own, for its environment.
#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/journal.h"
#include "cli/header.h"
#include "cli/jobs.h"
#include "report/compare.h"
#include "report/json.h"
#include "zoo/stats.h"

enum { BLOCKS = 8 }; // a side: pairs of a block of each, in quads of A B B A or B A A B
enum { MOST_SETTINGS = 16 };

static volatile int was_interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    was_interrupted = 1;
}

struct side {
    const char *text; // as given
    char *copy;       // what the options below point into
    struct vkz_options options;
    char *environment[MOST_SETTINGS + 1];
    struct vkz_selection selection;
    struct vkz_job_list jobs;
    struct vkz_session *session;
    struct vkz_journal *journal;
    yyjson_val *hello; // borrowed from the session
    yyjson_doc *blocks[BLOCKS];
    int block_count;
    int ok, failed, errors, skipped;
};

struct ab {
    const struct vkz_options *options;
    struct side sides[2];
    struct side *now; // whose block runs
    uint64_t random;
    char order[2 * BLOCKS + 1]; // of the pair that runs: "ABBABAAB..."
    yyjson_doc *ceilings_doc;
    yyjson_val *ceilings;
    char started[40]; // tells this run's blocks from another's
    int done, count;
    int verdicts[VKZ_VERDICTS];
    double log_sum;
    int log_count;
    bool progress;
};

// ---- Settings of a side ----

static bool is_environment(const char *name, size_t length)
{
    bool capital = length > 0 && (isupper((unsigned char)name[0]) || name[0] == '_');
    for (size_t i = 1; i < length && capital; i++)
        capital = isupper((unsigned char)name[i]) || isdigit((unsigned char)name[i]) ||
                  name[i] == '_';
    return capital;
}

static enum vkz_status take_setting(struct side *side, char *text, int *environment_count,
                                    struct vkz_error *err)
{
    struct vkz_options *o = &side->options;
    const struct {
        const char *name;
        const char **place;
    } known[] = {{"kernel", &o->kernel}, {"variant", &o->variant}, {"tuning", &o->tuning},
                 {"spec", &o->spec},     {"spirv", &o->spirv},     {"device", &o->device},
                 {"cache", &o->cache_folder}};
    const size_t length = strcspn(text, "=");
    if (text[length] && is_environment(text, length) && *environment_count < MOST_SETTINGS) {
        side->environment[(*environment_count)++] = text;
        return VKZ_OK;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known && text[length]; i++) {
        if (strlen(known[i].name) == length && strncmp(known[i].name, text, length) == 0) {
            *known[i].place = text + length + 1;
            return VKZ_OK;
        }
    }
    return vkz_error_set(err, VKZ_BAD_INPUT,
                         "--ab: expected kernel=, variant=, tuning=, spec=, spirv=, device=, "
                         "cache= or an environment's NAME=VALUE, found %s", text);
}

static enum vkz_status open_side(struct side *side, const struct vkz_options *options,
                                 const char *text, struct vkz_error *err)
{
    int environment_count = 0;
    enum vkz_status status = VKZ_OK;
    side->text = text;
    side->options = *options;
    side->options.no_cold = true;
    side->options.ab[0] = side->options.ab[1] = NULL;
    if (options->budget_ms <= 0)
        side->options.budget_ms = 1000;
    side->options.budget_ms /= BLOCKS;
    side->copy = strdup(text);
    if (!side->copy)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    for (char *p = side->copy, *next; p && *p && status == VKZ_OK; p = next) {
        next = strchr(p, ';');
        if (next)
            *next++ = '\0';
        p += strspn(p, " ");
        if (*p)
            status = take_setting(side, p, &environment_count, err);
    }
    if (status == VKZ_OK)
        status = vkz_selection_create(&side->options, &side->selection, err);
    if (status == VKZ_OK)
        status = vkz_job_list_create(&side->options, VKZ_VERB_BENCH, &side->selection,
                                     &side->jobs, err);
    if (status == VKZ_OK)
        status = vkz_cli_session(&side->options, 1, side->environment, &was_interrupted,
                                 &side->session, err);
    if (status == VKZ_OK)
        status = vkz_session_hello(side->session, &side->hello, err);
    return status;
}

static void close_side(struct side *side)
{
    vkz_session_destroy(&side->session);
    vkz_journal_close(&side->journal);
    vkz_job_list_finish(&side->jobs);
    vkz_selection_finish(&side->selection);
    free(side->copy);
}

// ---- Ceilings and files ----

static bool on_ceilings(void *context, int job, yyjson_val *result)
{
    struct ab *ab = context;
    yyjson_val *ceilings = yyjson_obj_get(result, "ceilings");
    (void)job;
    if (ceilings && !ab->ceilings_doc) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_doc_set_root(doc, yyjson_val_mut_copy(doc, ceilings));
        ab->ceilings_doc = yyjson_mut_doc_imut_copy(doc, NULL);
        yyjson_mut_doc_free(doc);
        ab->ceilings = yyjson_doc_get_root(ab->ceilings_doc);
    }
    return true;
}

static void on_progress(void *context, int job, const char *what)
{
    const struct ab *ab = context;
    (void)job;
    if (ab->progress && what)
        fprintf(stderr, "\r\033[K[%d/%d] %s: %.60s", ab->done, ab->count,
                ab->now == &ab->sides[0] ? "A" : "B", what);
}

static enum vkz_status write_header(struct ab *ab, int s, struct vkz_error *err)
{
    struct side *side = &ab->sides[s];
    char path[1024];
    enum vkz_status status = VKZ_OK;
    if (ab->options->out) {
        const size_t length = strlen(ab->options->out);
        const bool whole =
            length > 6 && strcmp(ab->options->out + length - 6, ".jsonl") == 0;
        snprintf(path, sizeof path, "%.*s-%c.jsonl", (int)(whole ? length - 6 : length),
                 ab->options->out, 'a' + s);
    } else {
        status = vkz_cli_result_path(side->hello, s ? "-b" : "-a", path, err);
    }
    if (status == VKZ_OK)
        status = vkz_journal_create(path, &side->journal, err);
    if (status != VKZ_OK)
        return status;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(
        doc, vkz_header_json(doc, "bench", &side->options, side->hello, ab->ceilings,
                             side->environment));
    yyjson_doc *line = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    status = vkz_journal_write(side->journal, yyjson_doc_get_root(line), err);
    yyjson_doc_free(line);
    return status;
}

static void write_end(struct side *side, const char *how)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, o);
    yyjson_mut_obj_add_str(doc, o, "type", "end");
    yyjson_mut_obj_add_str(doc, o, "status", how);
    yyjson_mut_obj_add_int(doc, o, "cases",
                           side->ok + side->failed + side->errors + side->skipped);
    yyjson_mut_obj_add_int(doc, o, "ok", side->ok);
    yyjson_mut_obj_add_int(doc, o, "failed", side->failed);
    yyjson_mut_obj_add_int(doc, o, "skipped", side->skipped);
    yyjson_mut_obj_add_int(doc, o, "mistrusted", 0);
    yyjson_mut_obj_add_int(doc, o, "errors", side->errors);
    yyjson_mut_obj_add_real(doc, o, "seconds", 0);
    yyjson_doc *line = yyjson_mut_doc_imut_copy(doc, NULL);
    vkz_journal_write(side->journal, yyjson_doc_get_root(line), NULL);
    yyjson_doc_free(line);
    yyjson_mut_doc_free(doc);
}

// ---- Blocks ----

static bool on_block(void *context, int job, yyjson_val *result)
{
    struct ab *ab = context;
    struct side *side = ab->now;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    (void)job;
    yyjson_mut_doc_set_root(doc, yyjson_val_mut_copy(doc, result));
    side->blocks[side->block_count++] = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    return true;
}

static yyjson_val *block_root(const struct side *side, int i)
{
    return yyjson_doc_get_root(side->blocks[i]);
}

static yyjson_val *block_hot(const struct side *side, int i)
{
    return vkz_json_object(vkz_json_object(block_root(side, i), "time"), "hot");
}

// The first block that did not end well, else the first; never NULL.
static yyjson_val *telling_block(const struct side *side)
{
    for (int i = 0; i < side->block_count; i++) {
        if (!vkz_json_is(block_root(side, i), "status", "ok"))
            return block_root(side, i);
    }
    return block_root(side, 0);
}

// The numbers of an array at `key` in all blocks, one after the other.
static yyjson_mut_val *joined(yyjson_mut_doc *doc, const struct side *side, const char *key)
{
    yyjson_mut_val *array = yyjson_mut_arr(doc);
    for (int i = 0; i < side->block_count; i++) {
        yyjson_val *value;
        size_t at, count;
        yyjson_arr_foreach(vkz_json_array(block_hot(side, i), key), at, count, value)
            yyjson_mut_arr_add_real(doc, array, yyjson_get_num(value));
    }
    return array;
}

static void set(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                yyjson_mut_val *value)
{
    yyjson_mut_obj_put(object, yyjson_mut_str(doc, key), value);
}

// The blocks' medians in order, under an id that the other side's line has too.
static void add_blocks(const struct ab *ab, yyjson_mut_doc *doc, yyjson_mut_val *hot,
                       const struct side *side)
{
    yyjson_mut_val *blocks = yyjson_mut_obj(doc);
    char id[80];
    snprintf(id, sizeof id, "%.40s/%d", ab->started, ab->done);
    yyjson_mut_obj_add_strcpy(doc, blocks, "id", id);
    yyjson_mut_obj_add_strcpy(doc, blocks, "order", ab->order);
    yyjson_mut_val *medians = yyjson_mut_obj_add_arr(doc, blocks, "medians_ns");
    for (int i = 0; i < side->block_count; i++)
        yyjson_mut_arr_add_real(doc, medians, vkz_json_number(block_hot(side, i), "median_ns"));
    set(doc, hot, "blocks", blocks);
}

// One result line of a side: the first block's, with the samples of all.
static yyjson_doc *merge(struct ab *ab, const struct side *side)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_val *base = telling_block(side);
    yyjson_mut_val *line = yyjson_val_mut_copy(doc, base);
    yyjson_mut_val *hot =
        yyjson_mut_obj_get(yyjson_mut_obj_get(line, "time"), "hot");
    yyjson_mut_doc_set_root(doc, line);
    if (hot && vkz_json_is(base, "status", "ok")) {
        yyjson_mut_val *samples = joined(doc, side, "samples_ns"), *sample;
        double *values = malloc((yyjson_mut_arr_size(samples) + 1) * sizeof *values);
        size_t i, count;
        static const char *const sums[] = {"groups", "discarded_groups", "slow_groups_kept"};
        if (!values) {
            yyjson_mut_doc_free(doc);
            return NULL;
        }
        yyjson_mut_arr_foreach(samples, i, count, sample)
            values[i] = yyjson_mut_get_num(sample);
        const struct vkz_summary s = vkz_summarize(values, (int)count);
        const struct {
            const char *key;
            double value;
        } reals[] = {{"median_ns", s.median}, {"low_ns", s.low}, {"high_ns", s.high},
                     {"min_ns", s.min},       {"q1_ns", s.q1},   {"q3_ns", s.q3},
                     {"max_ns", s.max},       {"mad_ns", s.mad}};
        free(values);
        set(doc, hot, "n", yyjson_mut_int(doc, (int64_t)count));
        for (size_t r = 0; r < sizeof reals / sizeof *reals; r++)
            set(doc, hot, reals[r].key, yyjson_mut_real(doc, reals[r].value));
        for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
            double sum = 0;
            for (int b = 0; b < side->block_count; b++)
                sum += fmax(0, vkz_json_number(block_hot(side, b), sums[k]));
            set(doc, hot, sums[k], yyjson_mut_int(doc, (int64_t)sum));
        }
        set(doc, hot, "samples_ns", samples);
        add_blocks(ab, doc, hot, side);
        if (vkz_json_array(block_hot(side, 0), "canary_ns"))
            set(doc, hot, "canary_ns", joined(doc, side, "canary_ns"));
        yyjson_doc *plain = yyjson_mut_doc_imut_copy(doc, NULL);
        vkz_cli_add_floors(doc, line, yyjson_doc_get_root(plain), ab->ceilings);
        yyjson_doc_free(plain);
    }
    yyjson_doc *whole = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    return whole;
}

static void count_outcome(struct side *side, yyjson_val *line)
{
    const char *status = vkz_json_text(line, "status");
    if (strcmp(status, "ok") == 0 || strcmp(status, "mistrusted") == 0)
        side->ok++;
    else if (strcmp(status, "failed") == 0)
        side->failed++;
    else if (strcmp(status, "skipped") == 0)
        side->skipped++;
    else
        side->errors++;
}

// ---- Verdicts ----

static void describe(yyjson_val *line, char *out, size_t size)
{
    const char *tuning = vkz_json_text(line, "tuning");
    snprintf(out, size, "%s.%s%s%s%s", vkz_json_text(line, "kernel"),
             vkz_json_text(line, "variant"), tuning[0] ? "[" : "", tuning,
             tuning[0] ? "]" : "");
}

// The verdict as `vkzoo compare` gives it.
static void judge(yyjson_val *a, yyjson_val *b, struct vkz_store *store,
                  struct vkz_record records[2], struct vkz_pair *pair)
{
    *pair = (struct vkz_pair){.a = &records[0], .b = &records[1],
                              .verdict = VKZ_VERDICT_UNKNOWN};
    if (store && vkz_record_read(a, 1, store, &records[0]) &&
        vkz_record_read(b, 1, store, &records[1]))
        vkz_compare_pair(pair);
    else
        snprintf(pair->reason, sizeof pair->reason, "out of host memory");
}

static void print_pair(struct ab *ab, yyjson_val *a, yyjson_val *b)
{
    struct vkz_store *store = vkz_store_create();
    struct vkz_record records[2];
    struct vkz_pair pair;
    char names[2][220], times[2][VKZ_NUMBER_MAX];
    const struct vkz_style style = vkz_style_for(stdout);
    judge(a, b, store, records, &pair);
    ab->verdicts[pair.verdict]++;
    if (pair.counts) {
        ab->log_sum += log(pair.ratio.value);
        ab->log_count++;
    }
    if (!ab->options->json) {
        describe(a, names[0], sizeof names[0]);
        describe(b, names[1], sizeof names[1]);
        printf("%-11s ", vkz_verdict_name(pair.verdict));
        if (pair.counts)
            printf("%.3f [%.3f, %.3f]  %s  %s  ", pair.ratio.value, pair.ratio.low,
                   pair.ratio.high, vkz_time_text(pair.a->hot.ns, style.utf8, times[0]),
                   vkz_time_text(pair.b->hot.ns, style.utf8, times[1]));
        printf("%s\n            %s%s%s\n", vkz_json_text(a, "case"), names[0],
               strcmp(names[0], names[1]) ? " against " : "",
               strcmp(names[0], names[1]) ? names[1] : "");
        if (pair.reason[0])
            printf("            %s\n", pair.reason);
        fflush(stdout);
    }
    vkz_store_destroy(&store);
}

static void print_json(yyjson_val *line)
{
    char *text = yyjson_val_write(line, YYJSON_WRITE_INF_AND_NAN_AS_NULL, NULL);
    if (text)
        puts(text);
    free(text);
}

// Which side of a quad goes first is drawn, so that nothing periodic falls on one side.
static void draw_order(struct ab *ab)
{
    for (int quad = 0; quad < BLOCKS / 2; quad++)
        memcpy(ab->order + 4 * quad,
               vkz_random_next(&ab->random) >> 63 ? "ABBA" : "BAAB", 4);
    ab->order[2 * BLOCKS] = '\0';
}

// All blocks of a pair of jobs, its lines and its verdict.
static enum vkz_status run_pair(struct ab *ab, const struct vkz_job *const jobs[2],
                                struct vkz_error *err)
{
    const struct vkz_session_events events = {on_block, on_progress, ab};
    enum vkz_status status = VKZ_OK;
    bool well = true;
    draw_order(ab);
    for (int block = 0; block < 2 * BLOCKS && status == VKZ_OK && !was_interrupted && well;
         block++) {
        const int s = ab->order[block] - 'A';
        ab->now = &ab->sides[s];
        status = vkz_session_run(ab->now->session, jobs[s], 1, &events, err);
        // A side that fails once is not asked again; the other is asked once at least.
        well = ab->sides[0].block_count == 0 || ab->sides[1].block_count == 0 ||
               (vkz_json_is(telling_block(&ab->sides[0]), "status", "ok") &&
                vkz_json_is(telling_block(&ab->sides[1]), "status", "ok"));
    }
    yyjson_doc *lines[2] = {NULL, NULL};
    for (int s = 0; s < 2; s++) {
        struct side *side = &ab->sides[s];
        if (status == VKZ_OK && side->block_count > 0 && !was_interrupted) {
            lines[s] = merge(ab, side);
            if (!lines[s])
                status = vkz_error_set(err, VKZ_FAILED, "out of host memory");
        }
        if (lines[s]) {
            count_outcome(side, yyjson_doc_get_root(lines[s]));
            status = vkz_journal_write(side->journal, yyjson_doc_get_root(lines[s]), err);
            if (ab->options->json)
                print_json(yyjson_doc_get_root(lines[s]));
        }
    }
    if (ab->progress)
        fprintf(stderr, "\r\033[K");
    if (lines[0] && lines[1])
        print_pair(ab, yyjson_doc_get_root(lines[0]), yyjson_doc_get_root(lines[1]));
    for (int s = 0; s < 2; s++) {
        struct side *side = &ab->sides[s];
        for (int i = 0; i < side->block_count; i++)
            yyjson_doc_free(side->blocks[i]);
        side->block_count = 0;
        yyjson_doc_free(lines[s]);
    }
    ab->done++;
    return status;
}

// The job of B that goes with job `a`: the same case, and the same variant unless both
// sides name theirs. NULL: none.
static const struct vkz_job *partner(const struct ab *ab, const struct vkz_job *a)
{
    const struct side *b = &ab->sides[1];
    const bool named = ab->sides[0].options.variant && b->options.variant;
    for (int i = 0; i < b->jobs.count; i++) {
        const struct vkz_job *job = &b->jobs.jobs[i];
        const bool kernel = !ab->options->all_kernels || strcmp(job->kernel, a->kernel) == 0;
        if (strcmp(job->case_id, a->case_id) == 0 && kernel &&
            (named || strcmp(job->variant, a->variant) == 0))
            return job;
    }
    return NULL;
}

static void print_summary(const struct ab *ab)
{
    printf("\nA  %s\nB  %s\ntime of B over time of A, 95 %% intervals, %d pairs of blocks, in turns; "
           "above 1 B is slower\n",
           ab->sides[0].text[0] ? ab->sides[0].text : "(as is)",
           ab->sides[1].text[0] ? ab->sides[1].text : "(as is)", BLOCKS);
    if (ab->log_count)
        printf("geometric mean %.3f of %d: ", exp(ab->log_sum / ab->log_count), ab->log_count);
    for (int v = 0, first = 1; v < VKZ_VERDICTS; v++) {
        if (ab->verdicts[v]) {
            printf("%s%d %s", first ? "" : ", ", ab->verdicts[v],
                   vkz_verdict_name((enum vkz_verdict)v));
            first = 0;
        }
    }
    printf("\nresults %s and %s\n", vkz_journal_path(ab->sides[0].journal),
           vkz_journal_path(ab->sides[1].journal));
}

static int exit_status(const struct ab *ab)
{
    const struct side *a = &ab->sides[0], *b = &ab->sides[1];
    return was_interrupted            ? VKZ_EXIT_INTERRUPTED
           : a->failed + b->failed    ? VKZ_EXIT_FAILED
           : a->errors + b->errors    ? VKZ_EXIT_HARNESS
           : !a->ok || !b->ok         ? VKZ_EXIT_NOTHING
                                      : VKZ_EXIT_OK;
}

static enum vkz_status run_all(struct ab *ab, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    int unpaired = 0;
    for (int i = 0; i < ab->sides[0].jobs.count; i++)
        ab->count += partner(ab, &ab->sides[0].jobs.jobs[i]) != NULL;
    if (ab->count == 0)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--ab: no case has a job on both sides; name a variant on both "
                             "or on neither");
    for (int i = 0; i < ab->sides[0].jobs.count && status == VKZ_OK && !was_interrupted; i++) {
        const struct vkz_job *a = &ab->sides[0].jobs.jobs[i];
        const struct vkz_job *const pair[2] = {a, partner(ab, a)};
        if (pair[1])
            status = run_pair(ab, pair, err);
        else
            unpaired++;
    }
    if (unpaired)
        fprintf(stderr, "vkzoo: %d cases of A have no like in B and were left out\n",
                unpaired);
    return status;
}

int vkz_bench_ab(const struct vkz_options *options)
{
    struct ab ab = {.options = options, .progress = isatty(STDERR_FILENO)};
    struct vkz_error err = {0};
    const struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    enum vkz_status status = VKZ_OK;
    snprintf(ab.started, sizeof ab.started, "%lld.%ld", (long long)time(NULL), (long)getpid());
    ab.random = (uint64_t)time(NULL);
    if (options->resume)
        status = vkz_error_set(&err, VKZ_BAD_INPUT,
                               "--ab cannot go on with a file: its blocks belong together");
    for (int s = 0; s < 2 && status == VKZ_OK; s++)
        status = open_side(&ab.sides[s], options, options->ab[s], &err);
    ab.now = &ab.sides[0];
    if (status == VKZ_OK && !options->no_ceilings) {
        const struct vkz_job job = {.verb = VKZ_VERB_CEILINGS, .seed = 1};
        const struct vkz_session_events events = {on_ceilings, on_progress, &ab};
        status = vkz_session_run(ab.sides[0].session, &job, 1, &events, &err);
    }
    for (int s = 0; s < 2 && status == VKZ_OK; s++)
        status = write_header(&ab, s, &err);
    if (status == VKZ_OK) {
        status = run_all(&ab, &err);
        for (int s = 0; s < 2; s++)
            write_end(&ab.sides[s], was_interrupted    ? "interrupted"
                                    : status == VKZ_OK ? "complete"
                                                       : "failed");
        if (!options->json && ab.done > 0)
            print_summary(&ab);
    }
    const int exit_code = status == VKZ_OK ? exit_status(&ab) : vkz_cli_fail(&err);
    for (int s = 0; s < 2; s++)
        close_side(&ab.sides[s]);
    yyjson_doc_free(ab.ceilings_doc);
    return was_interrupted ? VKZ_EXIT_INTERRUPTED : exit_code;
}
