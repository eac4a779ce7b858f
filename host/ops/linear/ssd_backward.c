// SPDX-License-Identifier: MIT
// ssd_backward: the gradients of ssd, contract and reference.
#include <string.h>

#include "ops/linear/recurrence_identities.h"
#include "ops/linear/ssd.h"
#include "zoo/identity.h"

static const struct vkz_dim dims[] = {SSD_DIMS, {0}};
static const struct vkz_scalar scalars[] = {SSD_SCALARS, {0}};
static const struct vkz_axis axes[] = {SSD_AXES, {0}};

#define X_SHAPE "batch, heads, len, head_dim"
#define B_SHAPE "batch, groups, len, state"

static const struct vkz_tensor tensors[] = {
    SSD_INPUTS,
    {"s0", VKZ_IN, "f32", SSD_STATE, "INIT == INIT.on", "normal(1)", "state before"},
    {"dy", VKZ_IN, "T", X_SHAPE, NULL, "normal(1)", "gradient of y"},
    {"dst", VKZ_IN, "f32", SSD_STATE, "FINAL == FINAL.on", "normal(1)", "gradient of st"},
    {"dx", VKZ_OUT, "T", X_SHAPE, NULL, NULL, "gradient of x"},
    {"ddt", VKZ_OUT, "f32", "batch, heads, len", NULL, NULL, "gradient of dt"},
    {"ddtb", VKZ_OUT, "f32", "heads", NULL, NULL, "gradient of dtb"},
    {"dalog", VKZ_OUT, "f32", "heads", NULL, NULL, "gradient of alog"},
    {"dd_skip", VKZ_OUT, "f32", "heads", NULL, NULL, "gradient of d_skip"},
    {"db", VKZ_OUT, "T", B_SHAPE, NULL, NULL, "gradient of b, of all heads of the group"},
    {"dc", VKZ_OUT, "T", B_SHAPE, NULL, NULL, "gradient of c, of all heads of the group"},
    {"dz", VKZ_OUT, "T", X_SHAPE, "GATE == GATE.on", NULL, "gradient of z"},
    {"ds0", VKZ_OUT, "f32", SSD_STATE, "INIT == INIT.on", NULL, "gradient of s0"},
    {0},
};

// One head: its inputs, its gradients and the magnitudes of the sums behind them.
struct head {
    int64_t len, width, ns;
    const float *x, *dt, *b, *c, *z, *s0, *dy, *dst;
    real dtb, a, skip;
    real *state, *state_size;     // [len + 1]: before the first token, after each
    real *upstream, *upstream_size; // of the state, from the right
    real *gy;                     // of what silu(z) multiplies
    double *dx, *ddt, *dz, *ds0, *dx_size, *ddt_size, *dz_size, *ds0_size;
    double *ddtb, *dalog, *dd_skip, *ddtb_size, *dalog_size, *dd_skip_size;
    double *db, *dc, *db_size, *dc_size;
};

static void run_forward(const struct vkz_ref *ref, const struct head *h)
{
    const int64_t count = h->ns * h->width;
    for (int64_t i = 0; i < count; i++) {
        h->state[i] = h->s0 != NULL ? (real)h->s0[i] : 0;
        h->state_size[i] = fabs(h->state[i]);
    }
    for (int64_t t = 0; t < h->len; t++) {
        real slope;
        const real step = ssd_step(ref, (real)h->dt[t] + h->dtb, &slope);
        const real keep = exp(step * h->a);
        const real *before = h->state + t * count, *size = h->state_size + t * count;
        real *after = h->state + (t + 1) * count;
        real *grown = h->state_size + (t + 1) * count;
        for (int64_t i = 0; i < count; i++) {
            const real in = (real)h->b[t * h->ns + i / h->width] *
                            (step * (real)h->x[t * h->width + i % h->width]);
            after[i] = keep * before[i] + in;
            grown[i] = keep * size[i] + fabs(in);
        }
    }
}

// gy of token t, and the gradient of z there.
static void through_gate(const struct head *h, int64_t t)
{
    const real *after = h->state + (t + 1) * h->ns * h->width;
    const real *size = h->state_size + (t + 1) * h->ns * h->width;
    for (int64_t j = 0; j < h->width; j++) {
        const int64_t i = t * h->width + j;
        h->gy[j] = (real)h->dy[i];
        if (h->z == NULL) {
            continue;
        }
        const real s = ssd_sigmoid((real)h->z[i]);
        real y = h->skip * (real)h->x[i], terms = fabs(y);
        for (int64_t n = 0; n < h->ns; n++) {
            y += (real)h->c[t * h->ns + n] * after[n * h->width + j];
            terms += fabs((real)h->c[t * h->ns + n]) * size[n * h->width + j];
        }
        const real slope = s * (1 + (real)h->z[i] * (1 - s));
        h->dz[i] = (double)(h->gy[j] * y * slope);
        h->dz_size[i] = (double)(fabs(h->gy[j] * slope) * terms);
        h->gy[j] *= (real)h->z[i] * s;
    }
}

// Token t, from the last to the first.
static void run_backward(const struct vkz_ref *ref, const struct head *h, int64_t t)
{
    const int64_t width = h->width, ns = h->ns, count = ns * width;
    const real *before = h->state + t * count, *size = h->state_size + t * count;
    const real *after = before + count, *grown = size + count;
    real slope;
    const real step = ssd_step(ref, (real)h->dt[t] + h->dtb, &slope);
    const real keep = exp(step * h->a);
    real dstep = 0, dstep_size = 0, dgate = 0, dgate_size = 0;
    through_gate(h, t);
    for (int64_t j = 0; j < width; j++) {
        const real x = (real)h->x[t * width + j], gy = h->gy[j];
        real dv = 0, dv_size = 0;
        for (int64_t n = 0; n < ns; n++) {
            const int64_t i = n * width + j, row = t * ns + n;
            const real b = (real)h->b[row], c = (real)h->c[row];
            h->upstream[i] += c * gy;
            h->upstream_size[i] += fabs(c * gy);
            h->dc[row] += (double)(after[i] * gy);
            h->dc_size[row] += (double)(grown[i] * fabs(gy));
            h->db[row] += (double)(h->upstream[i] * (step * x));
            h->db_size[row] += (double)(h->upstream_size[i] * fabs(step * x));
            dv += h->upstream[i] * b;
            dv_size += h->upstream_size[i] * fabs(b);
            dgate += keep * h->upstream[i] * before[i];
            dgate_size += keep * h->upstream_size[i] * size[i];
            h->upstream[i] *= keep;
            h->upstream_size[i] *= keep;
        }
        h->dx[t * width + j] = (double)(h->skip * gy + step * dv);
        h->dx_size[t * width + j] = (double)(fabs(h->skip * gy) + step * dv_size);
        dstep += x * dv;
        dstep_size += fabs(x) * dv_size;
        *h->dd_skip += (double)(gy * x);
        *h->dd_skip_size += (double)fabs(gy * x);
    }
    dstep += h->a * dgate;
    dstep_size += fabs(h->a) * dgate_size;
    h->ddt[t] = (double)(slope * dstep);
    h->ddt_size[t] = (double)(slope * dstep_size);
    *h->ddtb += (double)(slope * dstep);
    *h->ddtb_size += (double)(slope * dstep_size);
    *h->dalog += (double)(step * h->a * dgate);
    *h->dalog_size += (double)(step * fabs(h->a) * dgate_size);
}

// An output of the whole case, or NULL: from element `at` on.
static double *from(double *values, int64_t at)
{
    return values != NULL ? values + at : NULL;
}

static const float *from_input(const struct vkz_ref *ref, const char *name, int64_t at)
{
    const float *values = vkz_ref_in(ref, name);
    return values != NULL ? values + at : NULL;
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    const int64_t batch = vkz_ref_dim(ref, "batch"), heads = vkz_ref_dim(ref, "heads");
    const int64_t groups = vkz_ref_dim(ref, "groups"), len = vkz_ref_dim(ref, "len");
    const int64_t width = vkz_ref_dim(ref, "head_dim"), ns = vkz_ref_dim(ref, "state");
    const int64_t count = ns * width;
    const size_t states = (size_t)((len + 1) * count) * sizeof(real);
    static const char *const sums[] = {"ddtb", "dalog", "dd_skip", "db", "dc"};
    (void)unit; // one: sums go over sequences and heads
    for (int i = 0; i < 5; i++) {
        const int64_t values = i < 3 ? heads : batch * groups * len * ns;
        memset(vkz_ref_out(ref, sums[i]), 0, (size_t)values * sizeof(double));
        memset(vkz_ref_scale(ref, sums[i]), 0, (size_t)values * sizeof(double));
    }
    struct head h = {.len = len, .width = width, .ns = ns};
    h.state = vkz_ref_temp(ref, states);
    h.state_size = vkz_ref_temp(ref, states);
    h.upstream = vkz_ref_temp(ref, (size_t)count * sizeof(real));
    h.upstream_size = vkz_ref_temp(ref, (size_t)count * sizeof(real));
    h.gy = vkz_ref_temp(ref, (size_t)width * sizeof(real));
    for (int64_t u = 0; u < batch * heads; u++) {
        const int64_t head = u % heads, row = u * len;
        const int64_t group = (u / heads * groups + head * groups / heads) * len * ns;
        h.x = vkz_ref_in(ref, "x") + row * width;
        h.dt = vkz_ref_in(ref, "dt") + row;
        h.b = vkz_ref_in(ref, "b") + group;
        h.c = vkz_ref_in(ref, "c") + group;
        h.dy = vkz_ref_in(ref, "dy") + row * width;
        h.z = from_input(ref, "z", row * width);
        h.s0 = from_input(ref, "s0", u * count);
        h.dst = from_input(ref, "dst", u * count);
        h.dtb = (real)vkz_ref_in(ref, "dtb")[head];
        h.a = -exp((real)vkz_ref_in(ref, "alog")[head]);
        h.skip = (real)vkz_ref_in(ref, "d_skip")[head];
        h.dx = vkz_ref_out(ref, "dx") + row * width;
        h.dx_size = vkz_ref_scale(ref, "dx") + row * width;
        h.ddt = vkz_ref_out(ref, "ddt") + row;
        h.ddt_size = vkz_ref_scale(ref, "ddt") + row;
        h.dz = from(vkz_ref_out(ref, "dz"), row * width);
        h.dz_size = from(vkz_ref_scale(ref, "dz"), row * width);
        h.ds0 = from(vkz_ref_out(ref, "ds0"), u * count);
        h.ds0_size = from(vkz_ref_scale(ref, "ds0"), u * count);
        h.ddtb = vkz_ref_out(ref, "ddtb") + head;
        h.ddtb_size = vkz_ref_scale(ref, "ddtb") + head;
        h.dalog = vkz_ref_out(ref, "dalog") + head;
        h.dalog_size = vkz_ref_scale(ref, "dalog") + head;
        h.dd_skip = vkz_ref_out(ref, "dd_skip") + head;
        h.dd_skip_size = vkz_ref_scale(ref, "dd_skip") + head;
        h.db = vkz_ref_out(ref, "db") + group;
        h.db_size = vkz_ref_scale(ref, "db") + group;
        h.dc = vkz_ref_out(ref, "dc") + group;
        h.dc_size = vkz_ref_scale(ref, "dc") + group;
        run_forward(ref, &h);
        for (int64_t i = 0; i < count; i++) {
            h.upstream[i] = h.dst != NULL ? (real)h.dst[i] : 0;
            h.upstream_size[i] = fabs(h.upstream[i]);
        }
        for (int64_t t = len - 1; t >= 0; t--) {
            run_backward(ref, &h, t);
        }
        for (int64_t i = 0; h.ds0 != NULL && i < count; i++) {
            h.ds0[i] = (double)h.upstream[i];
            h.ds0_size[i] = (double)h.upstream_size[i];
        }
    }
}

// What comes before the first upstream gradient but the last is 0 after the last one:
// with dy = 0 from the middle on and no dst, later tokens have no gradient.
static bool check_causal(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), taken = len / 2;
    const int64_t width = vkz_identity_dim(run, "head_dim");
    const int64_t count = vkz_identity_dim(run, "batch") * vkz_identity_dim(run, "heads");
    struct vkz_data *data = vkz_identity_inputs(run, "FINAL=off");
    float *dy = vkz_identity_float(run, data, "dy");
    for (int64_t i = 0; dy != NULL && i < count * len * width; i++) {
        dy[i] = i / width % len < taken ? dy[i] : 0;
    }
    const double *dx = vkz_identity_output(run, data, "dx");
    double *expected = vkz_identity_temp(run, count * len * width);
    double *got = vkz_identity_temp(run, count * len * width);
    for (int64_t i = 0; dx != NULL && got != NULL && i < count * len * width; i++) {
        got[i] = i / width % len < taken ? 0 : dx[i];
    }
    return vkz_identity_equal(run, "dx", expected, got, count * len * width, 2);
}

static const struct vkz_identity identities[] = {
    RECURRENCE_GRADIENTS,
    {"causal", "tokens after the last gradient have none", "len > 1", check_causal},
    {0},
};

VKZ_OP(ssd_backward) = {
    .name = "ssd_backward",
    .family = "linear",
    .forward = "ssd",
    .abi = 1,
    .title = "gradients of ssd",
    .doc = "gy = dy ∘ silu(z), dz = dy ∘ y0 ∘ σ(z)(1 + z(1 - σ(z))), "
           "y0 = y before the gate;\n"
           "without GATE gy = dy. From the last token to the first, dS = dst before it:\n"
           "dS += C ⊗ gy;  dC = S gy;  dB = dS (Δ x);  dv = dSᵀ B;  dD = Σ gy·x\n"
           "dx = D gy + Δ dv;  dg = e^(ΔA) ⟨dS, S_(t-1)⟩;  dΔ = x·dv + A dg\n"
           "dS ← e^(ΔA) dS;  ddt = dΔ σ(dt + dtb), 0 where the step is clamped\n"
           "ddtb = Σ ddt;  dalog = Σ Δ A dg;  ds0 = dS at the end\n"
           "db and dc are sums over the heads of a group.\n"
           "\n"
           "Mamba-2, arXiv 2405.21060; the gradients are derived here.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = SSD_VALID,
    .valid_reason = SSD_VALID_REASON,
    .flops = "10 * batch * heads * len * head_dim * state",
    .sum_length = "len",
    .tolerance = VKZ_TOL_GRAD,
    .metric = VKZ_METRIC_FLOPS,
    .units = "1",
    .reference = reference,
    .identities = identities,
    .bitwise = true,
};
