// SPDX-License-Identifier: MIT
// The kernel tables: what tools/zoocc writes for every shader, as plain C99 data.
// A kernel is one way to meet an op's contract. All expressions are text over the names of
// the case (dims, scalars, axes), the kernel's constants and `let` names, and the device
// names listed in vkzoo/env.h; vkz_expr_eval() computes them.
#ifndef VKZOO_KERNEL_H
#define VKZOO_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vkz_io { VKZ_IN, VKZ_OUT, VKZ_INOUT, VKZ_SCRATCH };

// Storage types of tensors. T in a contract or a bind line is the variant's type.
enum vkz_type {
    VKZ_TYPE_NONE = 0,
    VKZ_F32,
    VKZ_F16,
    VKZ_BF16,
    VKZ_I32,
    VKZ_U32,
    VKZ_I8,
    VKZ_U8,
};

// One buffer of the kernel: descriptor set 0, storage buffer. Arrays of these and of the
// structures below end with an element whose name is NULL.
struct vkz_bind {
    const char *name;  // the contract's tensor name, or the scratch buffer's own
    uint32_t binding;  // descriptor binding number
    enum vkz_io io;
    const char *type;  // "T" (or another role of the variant), "f32", "i32", ...
    const char *shape; // "batch, heads, q_len, head_dim": comma-separated expressions
    const char *when;  // expression; the tensor exists when it is not 0. NULL: always
};

struct vkz_push {
    const char *name;   // a dim, scalar, axis, constant or `let` name; offset = 4 * index
    enum vkz_type type; // VKZ_U32, VKZ_I32 or VKZ_F32
};

struct vkz_spec {
    const char *name;
    uint32_t id;
    enum vkz_type type;   // VKZ_U32, VKZ_I32 or VKZ_F32 (bool constants are VKZ_U32)
    double default_value; // what the SPIR-V holds
    const char *value;    // expression that sets it for a case, or NULL: the default.
                          // A constant named like an axis of the op always follows the case
    const char *doc;
};

// A name for an intermediate value: //! let nsplit ceildiv(kv_len, SPLIT)
struct vkz_let {
    const char *name;
    const char *value;
};

// A named setting of specialization constants worth trying on some devices.
struct vkz_tuning {
    const char *name;     // "default" (no settings) is implied and comes first
    const char *settings; // "WG_SIZE=8 TILE_M=16"
};

struct vkz_pass {
    const char *name;      // "main" when the kernel has a single unnamed pass
    const char *groups[3]; // expressions for x, y, z ...
    const char *indirect;  // ... or the name of the binding that holds them (u32[3]), or NULL
};

// One SPIR-V module: one variant of one pass.
struct vkz_module {
    const uint32_t *words;
    size_t word_count;
    const char *sha256;       // of the words, lower-case hex
    const char *capabilities; // "Shader,Float16,...": SPIR-V names, sorted
    const char *extensions;   // "SPV_KHR_16bit_storage,...": sorted, may be ""
    uint32_t local_size[3];   // default workgroup size
    int32_t local_size_id[3]; // constant that sets it, or -1
};

struct vkz_variant {
    const char *name;  // "f32", "f16", "bf16", "f16_acc16"
    const char *types; // "T=f32" or "T=f16 W=i8": role = storage type
    const char *accumulate; // "f32" (default) or "f16": what sums are kept in
    // Cooperative-matrix element types the device must list, "f16,f16,f32,f32" for
    // A,B,C,result at subgroup scope; the chosen shape sets CM_M, CM_N, CM_K. NULL: none.
    const char *coopmat;
    const struct vkz_module *modules; // one a pass, in pass order
};

struct vkz_kernel {
    const char *name;  // "gemm_tile"
    const char *op;    // "gemm"
    int abi;           // 1 in `//! op gemm/1`: changes when the interface does
    const char *title; // first line of the file's comment
    const char *file;  // "shaders/gemm/gemm_tile.comp"
    const char *tier;  // "T0", "T1", "T2", "T2b", "T2c"
    bool baseline;     // `//! baseline`: the unfused or naive form others are held against;
                       // checked and timed on request, never chosen by the probe
    const char *when;        // expression: cases this kernel serves; NULL: all
    const char *when_reason; // the sentence shown when it is 0
    const char *shared;      // expression: bytes of shared memory, the largest pass; NULL: 0
    const struct vkz_bind *binds;
    const struct vkz_push *push;
    const struct vkz_spec *specs;
    const struct vkz_let *lets;
    const struct vkz_tuning *tunings;
    const struct vkz_pass *passes;
    const struct vkz_variant *variants;
};

// Every kernel of this build, NULL-terminated, in suite order.
extern const struct vkz_kernel *const vkz_kernels[];

// The kernel of that name or NULL.
const struct vkz_kernel *vkz_kernel_find(const char *name);
// The kernel's variant of that name or NULL.
const struct vkz_variant *vkz_variant_find(const struct vkz_kernel *kernel, const char *name);
// True when both store and sum in the same types: either may stand in for the other.
bool vkz_variant_same_numbers(const struct vkz_variant *a, const struct vkz_variant *b);
// Storage type of a bind's or tensor's `type` under a variant; VKZ_TYPE_NONE if unknown.
enum vkz_type vkz_variant_type(const struct vkz_variant *variant, const char *type);

// Bytes of one element; 0 for VKZ_TYPE_NONE.
size_t vkz_type_size(enum vkz_type type);
// True for f32, f16 and bf16.
bool vkz_type_is_float(enum vkz_type type);
// "f32", "bf16", ...; "none" for VKZ_TYPE_NONE.
const char *vkz_type_name(enum vkz_type type);
// The type of that name, or VKZ_TYPE_NONE.
enum vkz_type vkz_type_parse(const char *name);

#ifdef __cplusplus
}
#endif
#endif
