// SPDX-License-Identifier: MIT
// A parallel loop: workers take the next indices from one counter until none are left.
// See zoo/data.h.
#define _POSIX_C_SOURCE 200809L
#include "zoo/data.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MAX_THREADS = 64 };

struct loop {
    atomic_llong next;
    int64_t count, grain;
    void (*body)(void *context, int64_t i);
    void *context;
};

static void *work(void *argument)
{
    struct loop *loop = argument;
    for (;;) {
        const int64_t first = atomic_fetch_add(&loop->next, loop->grain);
        if (first >= loop->count)
            return NULL;
        const int64_t rest = loop->count - first;
        const int64_t end = first + (rest < loop->grain ? rest : loop->grain);
        for (int64_t i = first; i < end; i++)
            loop->body(loop->context, i);
    }
}

void vkz_parallel_for(int64_t count, int threads, void (*body)(void *context, int64_t i),
                      void *context)
{
    if (threads <= 0)
        threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    if (threads > count)
        threads = (int)count;
    struct loop loop = {.count = count, .grain = 1, .body = body, .context = context};
    // Few fetches of the counter, yet enough pieces to even out.
    if (threads > 0 && count / threads >= 64)
        loop.grain = count / threads / 32;
    pthread_t others[MAX_THREADS];
    int started = 0;
    // A thread that cannot be created is no error: the rest do its work.
    while (started + 1 < threads &&
           pthread_create(&others[started], NULL, work, &loop) == 0)
        started++;
    work(&loop);
    for (int i = 0; i < started; i++)
        pthread_join(others[i], NULL);
}
