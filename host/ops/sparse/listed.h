// SPDX-License-Identifier: MIT
// Softmax attention of one query to a list of keys: what the contracts of sparse
// attention share. Included by contract files only, which are compiled once with `real` =
// double and once with `real` = float.
#ifndef VKZ_OPS_SPARSE_LISTED_H
#define VKZ_OPS_SPARSE_LISTED_H

#include "ops/attention/score.h"

// Where keys and values lie: key j at k + j * k_pitch, its value at v + j * v_pitch.
struct listed {
    const float *q, *k, *v;
    int64_t head_dim, v_dim, k_pitch, v_pitch;
    real tau;
};

// o = softmax(tau q·k_j) v_j over keys[0 .. count); returns the log-sum-exp. scale[c] is
// the sum of |terms|. No keys: o = 0, -inf. All of `temp` (count reals) is overwritten.
static inline real listed_softmax(const struct listed *a, const int32_t *keys,
                                  int64_t count, real *temp, real *o, real *scale)
{
    real top = -(real)INFINITY;
    for (int64_t j = 0; j < count; j++) {
        const float *k = a->k + keys[j] * a->k_pitch;
        real sum = 0;
        for (int64_t c = 0; c < a->head_dim; c++) {
            sum += (real)a->q[c] * (real)k[c];
        }
        temp[j] = a->tau * sum;
        top = temp[j] > top ? temp[j] : top;
    }
    if (!(top > -(real)INFINITY)) {
        top = 0; // no key, or every score is NaN: the weights come out as 0 or NaN
    }
    for (int64_t c = 0; c < a->v_dim; c++) {
        o[c] = 0;
        scale[c] = 0;
    }
    real total = 0;
    for (int64_t j = 0; j < count; j++) {
        const real weight = exp(temp[j] - top);
        const float *v = a->v + keys[j] * a->v_pitch;
        total += weight;
        for (int64_t c = 0; c < a->v_dim; c++) {
            o[c] += weight * (real)v[c];
            scale[c] += weight * fabs((real)v[c]);
        }
    }
    for (int64_t c = 0; c < a->v_dim && total != 0; c++) {
        o[c] /= total;
        scale[c] /= total;
    }
    return total == 0 ? -(real)INFINITY : top + log(total);
}

// Writes a row of o and, where the case has it, of lse.
static inline void listed_store(struct vkz_ref *ref, const real *o, const real *scale,
                                int64_t v_dim, real lse)
{
    score_store(vkz_ref_out(ref, "o"), o, v_dim);
    score_store(vkz_ref_scale(ref, "o"), scale, v_dim);
    double *out = vkz_ref_out(ref, "lse");
    if (out != NULL) {
        *out = (double)lse;
        const real size = fabs(lse);
        *vkz_ref_scale(ref, "lse") = isfinite(lse) && size > 1 ? (double)size : 1;
    }
}

#endif
