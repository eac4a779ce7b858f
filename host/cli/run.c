// SPDX-License-Identifier: MIT
// check, bench and peak: jobs to workers, results to the journal and the table. No Vulkan
// in this process.
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/journal.h"
#include "bench/session.h"
#include "cli/cli.h"
#include "cli/header.h"
#include "cli/jobs.h"
#include "report/floor.h"
#include "report/table.h"
#include "report/text.h"

static volatile int was_interrupted;

static const char *verb_name(enum vkz_verb verb)
{
    static const char *const names[] = {"check", "bench", "peak"};
    return names[verb];
}

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    was_interrupted = 1;
}

struct run {
    const struct vkz_options *options;
    enum vkz_verb verb;
    struct vkz_job_list list;
    struct vkz_session *session;
    struct vkz_journal *journal;
    struct vkz_table *table;
    yyjson_doc *header_doc; // of a new file; a resumed one keeps its own
    yyjson_val *header;
    yyjson_doc *ceilings_doc;
    yyjson_val *ceilings;
    struct vkz_error error; // what stopped the run
    int done;
    double start_ns;
    bool progress; // a terminal is watching
    char now[160];
};

static const char *field(yyjson_val *object, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(object, key));
    return s ? s : "";
}

static void clear_progress(const struct run *run)
{
    if (run->progress)
        fprintf(stderr, "\r\033[K");
}

static void draw_progress(const struct run *run, const char *what)
{
    if (!run->progress)
        return;
    const double seconds = (vkz_host_ns() - run->start_ns) / 1e9;
    // A line that wraps could not be erased; the window may have changed.
    const struct vkz_style style = vkz_style_for(stderr);
    char line[240];
    snprintf(line, sizeof line, "[%d/%d %.0fs] %.180s", run->done, run->list.count, seconds,
             what);
    fprintf(stderr, "\r\033[K");
    vkz_print_text(stderr, &style, line, style.width - 1);
    fflush(stderr);
}

static void on_progress(void *context, int job, const char *what)
{
    struct run *run = context;
    if (what) {
        draw_progress(run, what);
        return;
    }
    vkz_job_label(&run->list.jobs[job], run->now, 78);
    draw_progress(run, run->now);
}

static bool on_result(void *context, int job, yyjson_val *result)
{
    struct run *run = context;
    (void)job;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *line = yyjson_val_mut_copy(doc, result);
    yyjson_mut_doc_set_root(doc, line);
    vkz_cli_add_floors(doc, line, result, run->ceilings);
    yyjson_doc *whole = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    yyjson_val *root = yyjson_doc_get_root(whole);
    const char *status = field(root, "status");
    run->done++;
    // Wrong kernels and broken devices are said at once, with how to see it again.
    if (strcmp(status, "ok") != 0 && strcmp(status, "skipped") != 0 &&
        strcmp(status, "mistrusted") != 0) {
        clear_progress(run);
        fprintf(stderr, "%s: %s.%s: %s\n  %s\n", status, field(root, "kernel"),
                field(root, "variant"), field(root, "reason"), field(root, "repro"));
    }
    bool go_on = vkz_table_add(run->table, root, &run->error) == VKZ_OK;
    if (run->options->json && go_on) {
        size_t size = 0;
        char *text = yyjson_val_write(root, YYJSON_WRITE_INF_AND_NAN_AS_NULL, &size);
        go_on = text && fwrite(text, 1, size, stdout) == size && putchar('\n') != EOF &&
                fflush(stdout) == 0;
        if (!go_on)
            vkz_error_set(&run->error, VKZ_FAILED, "cannot write to standard output: %s",
                          strerror(errno));
        free(text);
    }
    if (run->journal && go_on)
        go_on = vkz_journal_write(run->journal, root, &run->error) == VKZ_OK;
    yyjson_doc_free(whole);
    draw_progress(run, run->now);
    return go_on;
}

static bool on_ceilings(void *context, int job, yyjson_val *result)
{
    struct run *run = context;
    (void)job;
    yyjson_val *ceilings = yyjson_obj_get(result, "ceilings");
    if (!ceilings) {
        clear_progress(run);
        fprintf(stderr, "vkzoo: the ceilings could not be measured (%s: %s); efficiencies "
                        "are left out\n", field(result, "status"), field(result, "reason"));
        return true;
    }
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(doc, yyjson_val_mut_copy(doc, ceilings));
    run->ceilings_doc = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    run->ceilings = yyjson_doc_get_root(run->ceilings_doc);
    return true;
}

static enum vkz_status measure_ceilings(struct run *run, struct vkz_error *err)
{
    struct vkz_job_list keep = run->list;
    struct vkz_job job = {.verb = VKZ_VERB_CEILINGS, .full = run->options->full, .seed = 1};
    run->list = (struct vkz_job_list){.jobs = &job, .count = 1};
    const struct vkz_session_events events = {on_ceilings, on_progress, run};
    enum vkz_status status = vkz_session_run(run->session, &job, 1, &events, err);
    clear_progress(run);
    run->list = keep;
    run->done = 0;
    if (status == VKZ_OK && was_interrupted)
        return vkz_error_set(err, VKZ_FAILED, "interrupted while the ceilings were measured; "
                             "nothing is kept");
    return status;
}

// A line of the journal, and of standard output with --json.
static enum vkz_status write_line(struct run *run, yyjson_val *line, struct vkz_error *err)
{
    if (run->options->json) {
        char *text = yyjson_val_write(line, YYJSON_WRITE_INF_AND_NAN_AS_NULL, NULL);
        if (text)
            puts(text);
        free(text);
    }
    return run->journal ? vkz_journal_write(run->journal, line, err) : VKZ_OK;
}

// Opens a file to go on with, and asks what it was asked.
static enum vkz_status reopen(struct run *run, struct vkz_options *options,
                              struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    if (!options->resume)
        return VKZ_OK;
    if (options->out)
        return vkz_error_set(err, VKZ_BAD_INPUT, "--resume goes on with its own file: leave "
                             "--out out");
    status = vkz_journal_resume(options->resume, &run->journal, err);
    if (status != VKZ_OK)
        return status;
    return vkz_resume_options(vkz_journal_header(run->journal), verb_name(run->verb), options,
                              err);
}

// A resumed run must be of the same build and device: anything else would mix.
static enum vkz_status resume(struct run *run, yyjson_val *hello, struct vkz_error *err)
{
    yyjson_val *header = vkz_journal_header(run->journal);
    enum vkz_status status = vkz_header_compatible(header, hello, run->options->resume, err);
    if (status != VKZ_OK)
        return status;
    run->ceilings = yyjson_obj_get(header, "ceilings");
    if (!yyjson_is_obj(run->ceilings))
        run->ceilings = NULL;
    run->header = header;
    int kept = 0;
    for (int i = 0; i < run->list.count; i++) {
        const struct vkz_job *job = &run->list.jobs[i];
        char key[1200];
        vkz_journal_key(verb_name(job->verb), job->case_id,
                        job->kernel, job->variant, job->tuning, key, sizeof key);
        if (!vkz_journal_has(run->journal, key))
            run->list.jobs[kept++] = *job;
    }
    fprintf(stderr, "vkzoo: resuming %s: %d of %d cases are already there\n",
            run->options->resume, run->list.count - kept, run->list.count);
    run->list.count = kept;
    return VKZ_OK;
}

static enum vkz_status open_output(struct run *run, yyjson_val *hello, struct vkz_error *err)
{
    const struct vkz_options *o = run->options;
    char path[1024];
    enum vkz_status status = VKZ_OK;
    if (o->resume)
        return resume(run, hello, err);
    if (o->out)
        snprintf(path, sizeof path, "%s", o->out);
    else if (run->verb == VKZ_VERB_BENCH)
        status = vkz_cli_result_path(hello, "", path, err);
    if (status == VKZ_OK && (o->out || run->verb == VKZ_VERB_BENCH))
        status = vkz_journal_create(path, &run->journal, err);
    return status;
}

static enum vkz_status write_header(struct run *run, yyjson_val *hello, const char *verb,
                                    struct vkz_error *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(doc, run->options->resume
                                     ? vkz_header_resume_json(doc, hello)
                                     : vkz_header_json(doc, verb, run->options, hello,
                                                       run->ceilings, NULL));
    run->header_doc = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    if (!run->header)
        run->header = yyjson_doc_get_root(run->header_doc);
    return write_line(run, yyjson_doc_get_root(run->header_doc), err);
}

static double seconds(const struct run *run)
{
    return round((vkz_host_ns() - run->start_ns) / 1e8) / 10;
}

static void write_end(struct run *run, const char *how)
{
    const struct vkz_table_counts counts = vkz_table_count(run->table);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, o);
    yyjson_mut_obj_add_str(doc, o, "type", "end");
    yyjson_mut_obj_add_str(doc, o, "status", how);
    yyjson_mut_obj_add_int(doc, o, "cases", counts.cases);
    yyjson_mut_obj_add_int(doc, o, "ok", counts.ok);
    yyjson_mut_obj_add_int(doc, o, "failed", counts.failed);
    yyjson_mut_obj_add_int(doc, o, "skipped", counts.skipped);
    yyjson_mut_obj_add_int(doc, o, "mistrusted", counts.mistrusted);
    yyjson_mut_obj_add_int(doc, o, "errors", counts.errors);
    yyjson_mut_obj_add_real(doc, o, "seconds", seconds(run));
    yyjson_doc *line = yyjson_mut_doc_imut_copy(doc, NULL);
    // A full disk was reported when a result could not be written; once is enough.
    write_line(run, yyjson_doc_get_root(line), NULL);
    yyjson_doc_free(line);
    yyjson_mut_doc_free(doc);
}

// Checking compiles on the host: a worker a core, a few at most. Timing wants the machine
// for itself.
static int worker_count(const struct run *run)
{
    if (run->verb != VKZ_VERB_CHECK || run->options->workers)
        return run->options->workers;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > 4 ? 4 : (int)cores;
}

static enum vkz_status start_session(struct run *run, struct vkz_error *err)
{
    return vkz_cli_session(run->options, worker_count(run), NULL, &was_interrupted,
                           &run->session, err);
}

static int exit_status(const struct run *run)
{
    const struct vkz_table_counts counts = vkz_table_count(run->table);
    if (was_interrupted)
        return VKZ_EXIT_INTERRUPTED;
    // A wrong kernel that an earlier run of a resumed file found is still wrong.
    if (counts.failed || (run->journal && vkz_journal_failed(run->journal)))
        return VKZ_EXIT_FAILED;
    if (counts.errors)
        return VKZ_EXIT_HARNESS;
    if (run->done > 0 && counts.ok + counts.mistrusted == 0)
        return VKZ_EXIT_NOTHING;
    return VKZ_EXIT_OK;
}

static int run_exit(const struct run *run, enum vkz_status status,
                    const struct vkz_error *err)
{
    if (status == VKZ_OK)
        return exit_status(run);
    const int failed = vkz_cli_fail(err);
    return was_interrupted ? VKZ_EXIT_INTERRUPTED : failed;
}

static void run_finish(struct run *run)
{
    vkz_session_destroy(&run->session);
    vkz_journal_close(&run->journal);
    vkz_table_destroy(&run->table);
    yyjson_doc_free(run->header_doc);
    yyjson_doc_free(run->ceilings_doc);
    vkz_job_list_finish(&run->list);
}

static enum vkz_status run_init(struct run *run, const struct vkz_options *options,
                                enum vkz_verb verb, struct vkz_error *err)
{
    *run = (struct run){.options = options, .verb = verb, .start_ns = vkz_host_ns(),
                        .progress = isatty(STDERR_FILENO)};
    const struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return vkz_table_create(&run->table, err);
}

static void print_outcome(struct run *run)
{
    clear_progress(run);
    if (run->options->json)
        return;
    if (run->verb == VKZ_VERB_CEILINGS)
        vkz_ceilings_print(run->ceilings, stdout, NULL);
    else
        vkz_table_print(run->table, stdout, NULL);
    vkz_table_print_summary(run->table, stdout, NULL,
                            &(struct vkz_table_summary){
                                .path = run->journal ? vkz_journal_path(run->journal) : NULL,
                                .verb = verb_name(run->verb),
                                .header = run->header,
                                .seconds = seconds(run),
                                .interrupted = was_interrupted,
                            });
}

static int run_cases(const struct vkz_options *options, enum vkz_verb verb)
{
    struct run run;
    struct vkz_options own = *options;
    struct vkz_selection selection = {0};
    struct vkz_error err = {0};
    yyjson_val *hello = NULL;
    enum vkz_status status = run_init(&run, &own, verb, &err);
    if (status == VKZ_OK)
        status = reopen(&run, &own, &err);
    if (status == VKZ_OK)
        status = vkz_selection_create(&own, &selection, &err);
    if (status == VKZ_OK)
        status = vkz_job_list_create(&own, verb, &selection, &run.list, &err);
    if (status == VKZ_OK)
        status = start_session(&run, &err);
    if (status == VKZ_OK)
        status = vkz_session_hello(run.session, &hello, &err);
    if (status == VKZ_OK)
        status = open_output(&run, hello, &err);
    if (status == VKZ_OK && verb == VKZ_VERB_BENCH && !own.no_ceilings && !run.ceilings)
        status = measure_ceilings(&run, &err);
    if (status == VKZ_OK)
        status = write_header(&run, hello, verb_name(verb), &err);
    const double llc = yyjson_get_num(yyjson_obj_get(run.ceilings, "llc_bytes"));
    for (int i = 0; i < run.list.count; i++)
        run.list.jobs[i].llc_bytes = llc;
    if (status == VKZ_OK) {
        const struct vkz_session_events events = {on_result, on_progress, &run};
        status = vkz_session_run(run.session, run.list.jobs, run.list.count, &events, &err);
        if (status == VKZ_OK && run.error.status != VKZ_OK)
            status = vkz_error_set(&err, run.error.status, "%s", run.error.message);
        write_end(&run, was_interrupted       ? "interrupted"
                        : status == VKZ_OK ? "complete"
                                           : "failed");
        print_outcome(&run);
    }
    const int exit_code = run_exit(&run, status, &err);
    vkz_selection_finish(&selection);
    run_finish(&run);
    return exit_code;
}

int vkz_cmd_check(const struct vkz_options *options)
{
    return run_cases(options, VKZ_VERB_CHECK);
}

int vkz_cmd_bench(const struct vkz_options *options)
{
    if (options->ab[0])
        return vkz_bench_ab(options);
    return run_cases(options, VKZ_VERB_BENCH);
}

int vkz_cmd_peak(const struct vkz_options *options)
{
    struct run run;
    struct vkz_error err = {0};
    yyjson_val *hello = NULL;
    enum vkz_status status = run_init(&run, options, VKZ_VERB_CEILINGS, &err);
    if (status == VKZ_OK)
        status = start_session(&run, &err);
    if (status == VKZ_OK)
        status = vkz_session_hello(run.session, &hello, &err);
    if (status == VKZ_OK)
        status = open_output(&run, hello, &err);
    if (status == VKZ_OK)
        status = measure_ceilings(&run, &err);
    if (status == VKZ_OK)
        status = write_header(&run, hello, "peak", &err);
    if (status == VKZ_OK) {
        write_end(&run, "complete");
        print_outcome(&run);
    }
    const int exit_code =
        status == VKZ_OK && !run.ceilings ? VKZ_EXIT_HARNESS : run_exit(&run, status, &err);
    run_finish(&run);
    return exit_code;
}
