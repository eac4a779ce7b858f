// SPDX-License-Identifier: MIT
// Worker processes over pipes. One job at a time is with a worker, so the job it died on is
// known; its stderr goes through, but the last line is kept for the result's reason.
#include "bench/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 16, MAX_BARREN_STARTS = 3 };
static const double START_TIMEOUT_MS = 60e3;

struct worker_process {
    pid_t pid;   // 0: not running
    int to, from;
    char *line;  // what has been read of an unfinished line
    size_t used, capacity;
    int job;     // -1: idle
    bool ready;
    bool leaving; // its device is lost: it gets no other job
    double deadline_ns;
    char fatal[512];
    enum vkz_status fatal_status;
};

struct vkz_session {
    struct vkz_session_params params;
    struct worker_process workers[MAX_WORKERS];
    int worker_count;
    int barren; // workers in a row that died before finishing any job
    yyjson_doc *hello;
    const struct vkz_session_events *events;
    const struct vkz_job *jobs;
    int job_count, next_job, done;
    bool stopped;
    struct vkz_error last;
};

static void free_texts(char *const *texts)
{
    for (int i = 0; texts && texts[i]; i++)
        free(texts[i]);
    free((void *)texts);
}

// A NULL-terminated copy; of nothing, an empty one. NULL without memory.
static char **copy_texts(char *const *texts)
{
    int count = 0;
    while (texts && texts[count])
        count++;
    char **copy = calloc((size_t)count + 1, sizeof *copy);
    for (int i = 0; copy && i < count; i++) {
        copy[i] = strdup(texts[i]);
        if (!copy[i]) {
            free_texts(copy);
            return NULL;
        }
    }
    return copy;
}

enum vkz_status vkz_session_create(const struct vkz_session_params *params,
                                   struct vkz_session **out, struct vkz_error *err)
{
    struct vkz_session *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    s->params = *params;
    s->params.worker_argv = copy_texts(params->worker_argv);
    s->params.environment = copy_texts(params->environment);
    if (!s->params.worker_argv || !s->params.environment) {
        vkz_session_destroy(out);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    s->worker_count = params->workers < 1             ? 1
                      : params->workers > MAX_WORKERS ? MAX_WORKERS
                                                      : params->workers;
    // A worker that died must not take the parent along when it writes the next job.
    signal(SIGPIPE, SIG_IGN);
    return VKZ_OK;
}

static double timeout_ns(const struct vkz_session *s)
{
    return (s->params.timeout_ms > 0 ? s->params.timeout_ms : 300e3) * 1e6;
}

static enum vkz_status worker_start(struct vkz_session *s, struct worker_process *w,
                                    struct vkz_error *err)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    // Close-on-exec: a sibling that inherited the write end would keep a dead worker's pipe
    // open for ever.
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        const int reason = errno;
        for (int i = 0; i < 2; i++) {
            if (to[i] >= 0)
                close(to[i]);
        }
        return vkz_error_set(err, VKZ_FAILED, "cannot make a pipe for a worker: %s",
                             strerror(reason));
    }
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        // A worker that hangs must not outlive a parent that was killed.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
        // The worker reads jobs on 3 and writes events on 4; drivers may print on 1.
        const int in = fcntl(to[0], F_DUPFD, 10), out = fcntl(from[1], F_DUPFD, 10);
        dup2(in, 3);
        dup2(out, 4);
        close(in);
        close(out);
        dup2(2, 1);
        for (int i = 0; s->params.environment[i]; i++)
            putenv(s->params.environment[i]);
        execv("/proc/self/exe", s->params.worker_argv);
        execvp(s->params.worker_argv[0], s->params.worker_argv);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    if (pid < 0) {
        close(to[1]);
        close(from[0]);
        return vkz_error_set(err, VKZ_FAILED, "cannot start a worker: %s", strerror(errno));
    }
    *w = (struct worker_process){.pid = pid,
                                 .to = to[1],
                                 .from = from[0],
                                 .line = w->line,
                                 .capacity = w->capacity,
                                 .job = -1,
                                 .deadline_ns = vkz_host_ns() + START_TIMEOUT_MS * 1e6};
    return VKZ_OK;
}

// Ends a worker that still runs and reaps it. Returns its wait status.
static int worker_reap(struct worker_process *w, bool kill_it)
{
    int status = 0;
    if (!w->pid)
        return 0;
    if (kill_it)
        kill(w->pid, SIGKILL);
    close(w->to);
    close(w->from);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    w->pid = 0;
    w->ready = false;
    w->used = 0;
    return status;
}

void vkz_session_destroy(struct vkz_session **session)
{
    struct vkz_session *s = *session;
    if (!s)
        return;
    for (int i = 0; i < s->worker_count; i++) {
        struct worker_process *w = &s->workers[i];
        // An idle worker ends by itself when its input closes; a busy one is not waited for.
        worker_reap(w, w->job >= 0 || !w->ready);
        free(w->line);
    }
    yyjson_doc_free(s->hello);
    free_texts(s->params.worker_argv);
    free_texts(s->params.environment);
    free(s);
    *session = NULL;
}

static void worker_send(struct vkz_session *s, struct worker_process *w, int job)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    size_t size = 0;
    yyjson_mut_doc_set_root(doc, root);
    vkz_job_write(&s->jobs[job], doc, root);
    char *text = yyjson_mut_write(doc, 0, &size);
    w->job = job;
    w->deadline_ns = vkz_host_ns() + timeout_ns(s);
    // A write that fails means the worker is dead: reading its pipe will say so.
    if (text) {
        text[size] = '\n';
        const ssize_t ignored = write(w->to, text, size + 1);
        (void)ignored;
    }
    free(text);
    yyjson_mut_doc_free(doc);
}

static void deliver(struct vkz_session *s, int job, yyjson_val *result)
{
    s->done++;
    if (!s->events->result(s->events->context, job, result))
        s->stopped = true;
}

static void deliver_lost(struct vkz_session *s, int job, const char *status,
                         const char *reason)
{
    yyjson_mut_doc *mut = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(mut, vkz_result_lost_json(mut, &s->jobs[job], status, reason));
    yyjson_doc *doc = yyjson_mut_doc_imut_copy(mut, NULL);
    deliver(s, job, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    yyjson_mut_doc_free(mut);
}

// The worker is gone or given up: account for its job and clear the slot.
static void worker_lost(struct vkz_session *s, struct worker_process *w, bool hung)
{
    const int job = w->job;
    const bool was_ready = w->ready;
    char reason[256];
    const int status = worker_reap(w, hung);
    if (hung)
        snprintf(reason, sizeof reason, "no answer for %.0f s; the worker was killed",
                 (was_ready ? timeout_ns(s) / 1e9 : START_TIMEOUT_MS / 1e3));
    else if (WIFSIGNALED(status))
        snprintf(reason, sizeof reason, "the worker died of signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(reason, sizeof reason, "the worker ended with status %d",
                 WEXITSTATUS(status));
    w->job = -1;
    if (job >= 0) {
        deliver_lost(s, job, hung ? "timed out" : "crashed", reason);
    } else if (!was_ready) {
        s->barren++;
        vkz_error_set(&s->last, w->fatal[0] ? w->fatal_status : VKZ_FAILED,
                      "%s", w->fatal[0] ? w->fatal : reason);
    }
}

static enum vkz_status status_from_name(const char *name)
{
    for (int i = VKZ_OK; i <= VKZ_FAILED; i++) {
        if (name && strcmp(name, vkz_status_name((enum vkz_status)i)) == 0)
            return (enum vkz_status)i;
    }
    return VKZ_FAILED;
}

static void handle_event(struct vkz_session *s, struct worker_process *w, char *line,
                         size_t size)
{
    yyjson_doc *doc = yyjson_read(line, size, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *event = yyjson_get_str(yyjson_obj_get(root, "event"));
    w->deadline_ns = vkz_host_ns() + timeout_ns(s);
    if (!event) {
        yyjson_doc_free(doc);
        return;
    }
    if (strcmp(event, "ready") == 0) {
        w->ready = true;
        if (!s->hello) {
            s->hello = doc;
            return;
        }
    } else if (strcmp(event, "fatal") == 0) {
        const char *message = yyjson_get_str(yyjson_obj_get(root, "message"));
        snprintf(w->fatal, sizeof w->fatal, "%s", message ? message : "unknown trouble");
        w->fatal_status = status_from_name(yyjson_get_str(yyjson_obj_get(root, "status")));
    } else if (strcmp(event, "progress") == 0 && w->job >= 0 && s->events->progress) {
        s->events->progress(s->events->context, w->job,
                            yyjson_get_str(yyjson_obj_get(root, "what")));
    } else if (strcmp(event, "result") == 0 && w->job >= 0) {
        const int job = w->job;
        yyjson_val *result = yyjson_obj_get(root, "result");
        const char *status = yyjson_get_str(yyjson_obj_get(result, "status"));
        w->job = -1;
        w->leaving = status && strcmp(status, "device lost") == 0;
        s->barren = 0;
        deliver(s, job, result);
    }
    yyjson_doc_free(doc);
}

// Reads what there is and handles whole lines. False when the pipe is closed.
static bool worker_read(struct vkz_session *s, struct worker_process *w)
{
    if (w->capacity - w->used < 65536) {
        char *line = realloc(w->line, w->capacity + 262144);
        if (!line)
            return false;
        w->line = line;
        w->capacity += 262144;
    }
    const ssize_t got = read(w->from, w->line + w->used, w->capacity - w->used);
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0)
        return false;
    w->used += (size_t)got;
    size_t start = 0;
    for (;;) {
        char *end = memchr(w->line + start, '\n', w->used - start);
        if (!end)
            break;
        handle_event(s, w, w->line + start, (size_t)(end - w->line) - start);
        start = (size_t)(end - w->line) + 1;
    }
    memmove(w->line, w->line + start, w->used - start);
    w->used -= start;
    return true;
}

static bool interrupted(const struct vkz_session *s)
{
    return s->params.interrupted && *s->params.interrupted;
}

// Waits for any worker to speak, die or overstay.
static void pump(struct vkz_session *s)
{
    struct pollfd fds[MAX_WORKERS];
    int which[MAX_WORKERS], n = 0;
    for (int i = 0; i < s->worker_count; i++) {
        if (!s->workers[i].pid)
            continue;
        fds[n] = (struct pollfd){.fd = s->workers[i].from, .events = POLLIN};
        which[n++] = i;
    }
    if (poll(fds, (nfds_t)n, 200) < 0)
        return;
    const double now = vkz_host_ns();
    for (int i = 0; i < n && !s->stopped; i++) {
        struct worker_process *w = &s->workers[which[i]];
        if (fds[i].revents && !worker_read(s, w))
            worker_lost(s, w, false);
        else if (w->leaving)
            worker_reap(w, true);
        else if (!fds[i].revents && (w->job >= 0 || !w->ready) && now > w->deadline_ns)
            worker_lost(s, w, true);
    }
}

static bool keep_alive(struct vkz_session *s, int wanted, struct vkz_error *err)
{
    for (int i = 0; i < wanted; i++) {
        struct worker_process *w = &s->workers[i];
        if (w->pid)
            continue;
        if (s->barren >= MAX_BARREN_STARTS ||
            (s->barren > 0 && s->last.status == VKZ_NO_DEVICE)) {
            vkz_error_set(err, s->last.status, "%s", s->last.message);
            return false;
        }
        if (worker_start(s, w, err) != VKZ_OK)
            return false;
    }
    return true;
}

enum vkz_status vkz_session_hello(struct vkz_session *session, yyjson_val **out,
                                  struct vkz_error *err)
{
    while (!session->hello) {
        if (interrupted(session))
            return vkz_error_set(err, VKZ_FAILED, "interrupted");
        if (!keep_alive(session, 1, err))
            return err ? err->status : VKZ_FAILED;
        pump(session);
    }
    *out = yyjson_doc_get_root(session->hello);
    return VKZ_OK;
}

enum vkz_status vkz_session_run(struct vkz_session *session, const struct vkz_job *jobs,
                                int count, const struct vkz_session_events *events,
                                struct vkz_error *err)
{
    struct vkz_session *s = session;
    s->events = events;
    s->jobs = jobs;
    s->job_count = count;
    s->next_job = s->done = 0;
    s->stopped = false;
    while (s->done < count && !s->stopped && !interrupted(s)) {
        const int left = count - s->done;
        if (!keep_alive(s, left < s->worker_count ? left : s->worker_count, err))
            return err ? err->status : VKZ_FAILED;
        for (int i = 0; i < s->worker_count; i++) {
            struct worker_process *w = &s->workers[i];
            if (!w->pid || !w->ready || w->job >= 0 || s->next_job >= count)
                continue;
            if (events->progress)
                events->progress(events->context, s->next_job, NULL);
            worker_send(s, w, s->next_job++);
        }
        pump(s);
    }
    return VKZ_OK;
}
