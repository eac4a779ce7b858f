// SPDX-License-Identifier: MIT
// A case's numbers on the host: inputs filled and rounded, reference and naive outputs.
#ifndef VKZ_ZOO_DATA_H
#define VKZ_ZOO_DATA_H

#include "zoo/case.h"

enum { VKZ_MAX_TENSORS = 24 };

// One tensor of a case. Arrays are owned by the vkz_data.
struct vkz_array {
    const struct vkz_tensor *tensor;
    enum vkz_type type; // storage type under the variant
    int64_t extents[VKZ_MAX_DIMS];
    int dims;
    int64_t count;   // 0: absent in this case
    void *storage;   // inputs: count elements in the storage type, as uploaded; readable
                     // (zeros) up to the next multiple of 16 bytes
    void *wide;      // inputs: float (float types) or int32_t (u32: the same bits), the
                     // rounded values
};

struct vkz_data {
    const struct vkz_case *c;
    const struct vkz_variant *variant;
    struct vkz_array arrays[VKZ_MAX_TENSORS];
    int array_count;
};

// Allocates and fills every input of the case (threads: 0 = all cores).
enum vkz_status vkz_data_create(const struct vkz_case *c, const struct vkz_variant *variant,
                                int threads, struct vkz_data **out, struct vkz_error *err);
void vkz_data_destroy(struct vkz_data **data); // NULL and half-built are fine
struct vkz_array *vkz_data_find(struct vkz_data *data, const char *tensor);
// Rounds `wide` to `storage` again and back after a test edited `wide`.
void vkz_array_round(struct vkz_array *array);

// Expected values of one output on the sampled units.
struct vkz_expected {
    const struct vkz_array *array;
    int64_t per_unit;   // elements of one unit
    double *reference;  // unit_count * per_unit
    double *naive;      // the same, from the naive emulation rounded to the storage type
    double *scale;      // s_i from the reference
};

struct vkz_reference {
    int64_t units;        // of the whole case
    int64_t unit_count;   // computed
    int64_t *unit_index;  // ascending, which ones
    bool *ambiguous;      // of each computed unit: see vkz_ref_ambiguous
    struct vkz_expected outputs[VKZ_MAX_TENSORS];
    int output_count;
    double flops_spent;
};

// Runs the fp64 reference and the naive emulation. `max_flops` bounds the work: when the
// case has more and the op is `sampled`, a subset of units is computed (at least 64, first,
// last, around the middle and multiples of 32 among them); 0 = no bound.
enum vkz_status vkz_reference_create(const struct vkz_data *data, double max_flops,
                                     int threads, struct vkz_reference **out,
                                     struct vkz_error *err);
void vkz_reference_destroy(struct vkz_reference **reference);

// Conversions, round to nearest even; NaN stays NaN (quiet), subnormals kept.
uint16_t vkz_f16_from_f32(float x);
float vkz_f32_from_f16(uint16_t x);
uint16_t vkz_bf16_from_f32(float x);
float vkz_f32_from_bf16(uint16_t x);
// Reads element i of raw storage as double (integers too).
double vkz_storage_get(enum vkz_type type, const void *storage, int64_t i);
// Rounds x to the type's value set (through float for 16-bit types).
double vkz_storage_round(enum vkz_type type, double x);

// Runs body(context, i) for i in [0, count) on `threads` threads (0 = all cores).
void vkz_parallel_for(int64_t count, int threads, void (*body)(void *context, int64_t i),
                      void *context);

#endif
