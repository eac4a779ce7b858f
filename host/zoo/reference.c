// SPDX-License-Identifier: MIT
// Running a contract's reference and its naive twin over all or a sample of the units.
// See zoo/data.h.
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/reference.h"

// What one call of a contract's reference() sees.
struct vkz_ref {
    const struct vkz_data *data;
    // Of the unit being computed, by tensor; NULL for inputs and absent outputs.
    double *out[VKZ_MAX_TENSORS];
    double *scale[VKZ_MAX_TENSORS];
    bool *ambiguous;
    struct temp *temps;
};

// Temporary storage: a list of blocks, reused by the units of one thread.
struct temp {
    struct temp *next;
    size_t size, used;
    max_align_t bytes[];
};

// Everything the parallel loop needs.
struct run {
    const struct vkz_data *data;
    struct vkz_reference *reference;
    const struct vkz_op *op;
    bool naive;
    int64_t chunk;    // units a piece of work
    double **scratch; // naive: where scales go that nobody reads, one array an output
};

static int find_tensor(const struct vkz_ref *ref, const char *name)
{
    for (int i = 0; i < ref->data->array_count; i++) {
        if (strcmp(ref->data->arrays[i].tensor->name, name) == 0)
            return i;
    }
    assert(!"a reference asks for a tensor that its contract does not have");
    return 0;
}

double vkz_ref_value(const struct vkz_ref *ref, const char *name)
{
    double value = NAN;
    const bool known = vkz_env_get(&ref->data->c->env, name, &value);
    assert(known && "a reference asks for a name that its contract does not have");
    (void)known;
    return value;
}

int64_t vkz_ref_dim(const struct vkz_ref *ref, const char *name)
{
    return (int64_t)vkz_ref_value(ref, name);
}

const float *vkz_ref_in(const struct vkz_ref *ref, const char *name)
{
    const struct vkz_array *array = &ref->data->arrays[find_tensor(ref, name)];
    return vkz_type_is_float(array->type) ? array->wide : NULL;
}

const int32_t *vkz_ref_in_int(const struct vkz_ref *ref, const char *name)
{
    const struct vkz_array *array = &ref->data->arrays[find_tensor(ref, name)];
    return vkz_type_is_float(array->type) ? NULL : array->wide;
}

double *vkz_ref_out(struct vkz_ref *ref, const char *name)
{
    return ref->out[find_tensor(ref, name)];
}

double *vkz_ref_scale(struct vkz_ref *ref, const char *name)
{
    return ref->scale[find_tensor(ref, name)];
}

double vkz_ref_round(const struct vkz_ref *ref, const char *name, double x)
{
    return vkz_storage_round(ref->data->arrays[find_tensor(ref, name)].type, x);
}

void *vkz_ref_temp(struct vkz_ref *ref, size_t bytes)
{
    const size_t unit = sizeof(max_align_t);
    const size_t size = (bytes + unit - 1) / unit * unit;
    struct temp *temp = ref->temps;
    while (temp && temp->size - temp->used < size)
        temp = temp->next;
    if (!temp) {
        const size_t block = size > 65536 ? size : 65536;
        temp = malloc(sizeof *temp + block);
        if (!temp) {
            // A contract is plain maths and has no way to report this.
            fprintf(stderr, "vkzoo: out of memory in the reference of %s (%zu bytes)\n",
                    ref->data->c->op->name, bytes);
            abort();
        }
        *temp = (struct temp){.next = ref->temps, .size = block};
        ref->temps = temp;
    }
    void *result = (char *)temp->bytes + temp->used;
    temp->used += size;
    return memset(result, 0, size);
}

void vkz_ref_ambiguous(struct vkz_ref *ref) { *ref->ambiguous = true; }

static void temps_reset(struct vkz_ref *ref)
{
    for (struct temp *t = ref->temps; t; t = t->next)
        t->used = 0;
}

static void temps_free(struct vkz_ref *ref)
{
    while (ref->temps) {
        struct temp *next = ref->temps->next;
        free(ref->temps);
        ref->temps = next;
    }
}

static void run_chunk(void *context, int64_t piece)
{
    const struct run *run = context;
    struct vkz_reference *r = run->reference;
    bool unread; // naive's own doubts say nothing
    struct vkz_ref ref = {.data = run->data};
    const int64_t first = piece * run->chunk;
    const int64_t rest = r->unit_count - first;
    const int64_t end = first + (rest < run->chunk ? rest : run->chunk);
    for (int64_t i = first; i < end; i++) {
        for (int o = 0; o < r->output_count; o++) {
            const struct vkz_expected *e = &r->outputs[o];
            const int64_t tensor = e->array - run->data->arrays;
            const int64_t offset = i * e->per_unit;
            ref.out[tensor] = (run->naive ? e->naive : e->reference) + offset;
            ref.scale[tensor] = (run->naive ? run->scratch[o] : e->scale) + offset;
        }
        ref.ambiguous = run->naive ? &unread : &r->ambiguous[i];
        run->op->reference(&ref, r->unit_index[i]);
        temps_reset(&ref);
    }
    temps_free(&ref);
}

static void run_all(struct run *run, int threads)
{
    // Pieces keep the temporary storage of a thread warm, and even out the end.
    const int64_t units = run->reference->unit_count;
    run->chunk = units / 256 > 1 ? units / 256 : 1;
    vkz_parallel_for((units + run->chunk - 1) / run->chunk, threads, run_chunk, run);
}

// ---- Which units ----

static uint64_t hash(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u; // splitmix64
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static int compare_index(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The units where tiled kernels go wrong: ends, the middle, the edges of tiles.
enum { MAX_EDGES = 32 };
static int edge_units(int64_t units, int64_t edges[MAX_EDGES])
{
    const int64_t wanted[] = {0,
                              1,
                              31,
                              32,
                              33,
                              63,
                              64,
                              127,
                              128,
                              255,
                              256,
                              units / 2 - 1,
                              units / 2,
                              units / 2 + 1,
                              units / 2 / 32 * 32,
                              units / 4 / 32 * 32 + 31,
                              units / 3 / 32 * 32,
                              units - units % 32,
                              units - units % 32 - 1,
                              units - units % 64,
                              units - units % 64 - 1,
                              units - 2,
                              units - 1};
    int n = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (wanted[i] >= 0 && wanted[i] < units)
            edges[n++] = wanted[i];
    }
    qsort(edges, (size_t)n, sizeof *edges, compare_index);
    int distinct = 0;
    for (int i = 0; i < n; i++) {
        if (distinct == 0 || edges[distinct - 1] != edges[i])
            edges[distinct++] = edges[i];
    }
    return distinct;
}

// Edges, and one random unit from each of equal parts of the rest; ascending, distinct.
static void choose_units(int64_t units, int64_t count, uint64_t seed, int64_t *index)
{
    if (count == units) {
        for (int64_t i = 0; i < units; i++)
            index[i] = i;
        return;
    }
    int64_t edges[MAX_EDGES];
    const int64_t edge_count = edge_units(units, edges);
    const int64_t others = count - edge_count, pool = units - edge_count;
    for (int64_t i = 0; i < edge_count; i++)
        index[i] = edges[i];
    int64_t passed = 0; // edges below the current unit
    for (int64_t i = 0; i < others; i++) {
        const int64_t low = (int64_t)((double)i * (double)pool / (double)others);
        const int64_t high = (int64_t)((double)(i + 1) * (double)pool / (double)others);
        const int64_t rank =
            low + (high > low
                       ? (int64_t)(hash(seed + (uint64_t)i) % (uint64_t)(high - low))
                       : 0);
        while (passed < edge_count && edges[passed] <= rank + passed)
            passed++;
        index[edge_count + i] = rank + passed;
    }
    qsort(index, (size_t)count, sizeof *index, compare_index);
}

static int64_t unit_budget(const struct vkz_case *c, int64_t units, double max_flops)
{
    enum { LEAST = 64 };
    const double flops = vkz_case_flops(c);
    if (!c->op->sampled || max_flops <= 0 || !(flops > max_flops) || units <= LEAST)
        return units;
    const double count = floor(max_flops / (flops / (double)units));
    return count < LEAST ? LEAST : (int64_t)count;
}

// ---- Creating ----

static double *new_doubles(int64_t count, double value)
{
    double *values = malloc(count > 0 ? (size_t)count * sizeof *values : 1);
    for (int64_t i = 0; values && i < count; i++)
        values[i] = value;
    return values;
}

static enum vkz_status create_output(struct vkz_reference *r, const struct vkz_data *data,
                                     const struct vkz_array *array, struct vkz_error *err)
{
    if (array->count % r->units != 0)
        return vkz_error_set(
            err, VKZ_FAILED,
            "%s: contract: %lld elements of %s are not a multiple of %lld "
            "units (%s)",
            data->c->id, (long long)array->count, array->tensor->name,
            (long long)r->units, data->c->op->units);
    struct vkz_expected *e = &r->outputs[r->output_count++];
    e->array = array;
    e->per_unit = array->count / r->units;
    const int64_t count = r->unit_count * e->per_unit;
    e->reference = new_doubles(count, NAN); // what a reference forgets must not pass
    e->scale = new_doubles(count, 1);
    if (!e->reference || !e->scale)
        return vkz_error_set(err, VKZ_FAILED, "%s: out of memory: %lld expected elements",
                             data->c->id, (long long)count);
    return VKZ_OK;
}

static enum vkz_status create_units(struct vkz_reference *r, const struct vkz_case *c,
                                    double max_flops, struct vkz_error *err)
{
    struct vkz_error inner = {VKZ_OK, ""};
    const enum vkz_status status =
        vkz_expr_size(c->op->units ? c->op->units : "1", &c->env, &r->units, &inner);
    if (status != VKZ_OK || r->units < 1)
        return vkz_error_set(err, VKZ_FAILED, "%s: contract: units: %s", c->id,
                             status != VKZ_OK ? inner.message : "expected at least 1");
    r->unit_count = unit_budget(c, r->units, max_flops);
    r->unit_index = malloc((size_t)r->unit_count * sizeof *r->unit_index);
    r->ambiguous = calloc((size_t)r->unit_count, sizeof *r->ambiguous);
    if (!r->unit_index || !r->ambiguous)
        return vkz_error_set(err, VKZ_FAILED, "%s: out of memory: %lld units", c->id,
                             (long long)r->unit_count);
    choose_units(r->units, r->unit_count, c->seed, r->unit_index);
    r->flops_spent = vkz_case_flops(c) / (double)r->units * (double)r->unit_count;
    return VKZ_OK;
}

enum vkz_status vkz_reference_create_only(const struct vkz_data *data, double max_flops,
                                          int threads, struct vkz_reference **out,
                                          struct vkz_error *err)
{
    struct vkz_reference *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return vkz_error_set(err, VKZ_FAILED, "%s: out of memory", data->c->id);
    struct run run = {.data = data, .reference = r, .op = data->c->op};
    enum vkz_status status = create_units(r, data->c, max_flops, err);
    if (status != VKZ_OK)
        goto fail;
    for (int i = 0; i < data->array_count; i++) {
        const struct vkz_array *array = &data->arrays[i];
        if (array->tensor->io == VKZ_IN || array->count == 0)
            continue;
        status = create_output(r, data, array, err);
        if (status != VKZ_OK)
            goto fail;
    }
    run_all(&run, threads);
    *out = r;
    return VKZ_OK;

fail:
    vkz_reference_destroy(&r);
    return status;
}

static enum vkz_status run_naive(struct vkz_reference *r, const struct vkz_data *data,
                                 const struct vkz_op *twin, int threads,
                                 struct vkz_error *err)
{
    double *scratch[VKZ_MAX_TENSORS] = {NULL};
    struct run run = {
        .data = data, .reference = r, .op = twin, .naive = true, .scratch = scratch};
    enum vkz_status status = VKZ_OK;
    for (int o = 0; o < r->output_count; o++) {
        struct vkz_expected *e = &r->outputs[o];
        e->naive = new_doubles(r->unit_count * e->per_unit, NAN);
        scratch[o] = new_doubles(r->unit_count * e->per_unit, 1);
        if (!e->naive || !scratch[o]) {
            status = vkz_error_set(err, VKZ_FAILED, "%s: out of memory: naive emulation",
                                   data->c->id);
            goto done;
        }
    }
    run_all(&run, threads);
    for (int o = 0; o < r->output_count; o++) {
        struct vkz_expected *e = &r->outputs[o];
        for (int64_t i = 0; i < r->unit_count * e->per_unit; i++)
            e->naive[i] = vkz_storage_round(e->array->type, e->naive[i]);
    }
done:
    for (int o = 0; o < r->output_count; o++)
        free(scratch[o]);
    return status;
}

enum vkz_status vkz_reference_create(const struct vkz_data *data, double max_flops,
                                     int threads, struct vkz_reference **out,
                                     struct vkz_error *err)
{
    const char *op = data->c->op->name;
    const struct vkz_op *twin = vkz_op_find_naive(op);
    *out = NULL;
    if (!twin)
        return vkz_error_set(err, VKZ_FAILED,
                             "op %s was built without its naive twin: the build compiles "
                             "every contract a second time, with VKZ_NAIVE",
                             op);
    enum vkz_status status =
        vkz_reference_create_only(data, max_flops, threads, out, err);
    if (status == VKZ_OK)
        status = run_naive(*out, data, twin, threads, err);
    if (status != VKZ_OK)
        vkz_reference_destroy(out);
    return status;
}

void vkz_reference_destroy(struct vkz_reference **reference)
{
    if (!reference || !*reference)
        return;
    for (int i = 0; i < (*reference)->output_count; i++) {
        free((*reference)->outputs[i].reference);
        free((*reference)->outputs[i].naive);
        free((*reference)->outputs[i].scale);
    }
    free((*reference)->unit_index);
    free((*reference)->ambiguous);
    free(*reference);
    *reference = NULL;
}
