// SPDX-License-Identifier: MIT
//
// coopmat_mac: the rate of cooperative matrices, a tile of accumulators in each subgroup
//
//   C = Σ_t (-1)^t A B
//
// Why this one: operands are loaded once and stay in registers, so nothing but the matrix
// unit is busy. A tile of TILE_M x TILE_N fragments gives independent accumulators, as
// many as it takes to hide the unit's latency; how many that is differs by device.
//
//        n ->  TILE_N fragments
//      +----+----+
//   m  | c0 | c1 |   one subgroup's tile; each fragment is CM_M x CM_N
//   |  +----+----+
//   v  | c2 | c3 |   TILE_M fragments
//      +----+----+
//
//! kernel   coopmat_mac_tile
//! op       coopmat_mac/1
//! tier     T2
//! let      tiles  m % (TILE_M * CM_M) == 0 && n % (TILE_N * CM_N) == 0
//! when     tiles && k % CM_K == 0 : m, n and k must be whole tiles of the matrix shape
//! bind     0 a in  T[m, k]
//! bind     1 b in  T[k, n]
//! bind     2 c out C[m, n]
//! push     n:u32 k:u32 iters:u32
//! spec     0 WG_SIZE u32 32 = subgroup_size // one subgroup a workgroup
//! spec     3 TILE_M u32 2        // fragments of a tile, down: 1 to 4
//! spec     4 TILE_N u32 2        // fragments of a tile, across: 1 to 4
//! spec     32 CM_M u32 16 = CM_M // the device's shape
//! spec     33 CM_N u32 16 = CM_N
//! spec     34 CM_K u32 16 = CM_K
//! tuning   one      TILE_M=1 TILE_N=1
//! tuning   two      TILE_M=2 TILE_N=1
//! tuning   eight    TILE_M=2 TILE_N=4
//! tuning   sixteen  TILE_M=4 TILE_N=4
//! pass     main groups n/(TILE_N*CM_N) m/(TILE_M*CM_M)
//! variant  f16     T=f16 C=f32 coopmat=f16,f16,f32,f32
//! variant  f16_acc16 T=f16 C=f16 acc=f16 coopmat=f16,f16,f16,f16
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_M = 2;
layout(constant_id = 4) const uint TILE_N = 2;
layout(constant_id = 32) const uint CM_M = 16;
layout(constant_id = 33) const uint CM_N = 16;
layout(constant_id = 34) const uint CM_K = 16;

layout(set = 0, binding = 0, std430) restrict readonly buffer A { CM_TYPE_A a[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer B { CM_TYPE_B b[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer C { CM_TYPE_R c[]; };
layout(push_constant) uniform Push {
    uint n;
    uint k;
    uint iters;
};

#define FRAGMENT_A coopmat<CM_TYPE_A, gl_ScopeSubgroup, CM_M, CM_K, gl_MatrixUseA>
#define FRAGMENT_B coopmat<CM_TYPE_B, gl_ScopeSubgroup, CM_K, CM_N, gl_MatrixUseB>
#define FRAGMENT_C \
    coopmat<CM_TYPE_C, gl_ScopeSubgroup, CM_M, CM_N, gl_MatrixUseAccumulator>

const uint MAX_TILE = 4;

// sums += left right, for one fragment of k.
void multiply_add(inout FRAGMENT_C sums[MAX_TILE * MAX_TILE],
                  const FRAGMENT_A left[MAX_TILE], const FRAGMENT_B right[MAX_TILE])
{
    [[unroll]] for (uint i = 0; i < TILE_M; i++) {
        [[unroll]] for (uint j = 0; j < TILE_N; j++) {
            sums[i * TILE_N + j] = coopMatMulAdd(left[i], right[j], sums[i * TILE_N + j]);
        }
    }
}

void main()
{
    const uint row = gl_WorkGroupID.y * TILE_M * CM_M;
    const uint column = gl_WorkGroupID.x * TILE_N * CM_N;
    FRAGMENT_C sums[MAX_TILE * MAX_TILE];
    [[unroll]] for (uint i = 0; i < TILE_M * TILE_N; i++) {
        sums[i] = FRAGMENT_C(0.0);
    }
    for (uint at = 0; at < k; at += CM_K) {
        FRAGMENT_A left[MAX_TILE], minus[MAX_TILE];
        FRAGMENT_B right[MAX_TILE];
        [[unroll]] for (uint i = 0; i < TILE_M; i++) {
            coopMatLoad(left[i], a, (row + i * CM_M) * k + at, k,
                        gl_CooperativeMatrixLayoutRowMajor);
            minus[i] = -left[i];
        }
        [[unroll]] for (uint j = 0; j < TILE_N; j++) {
            coopMatLoad(right[j], b, at * n + column + j * CM_N, n,
                        gl_CooperativeMatrixLayoutRowMajor);
        }
        multiply_add(sums, left, right);
        for (uint t = 1; t < iters; t += 2) {
            multiply_add(sums, minus, right);
            multiply_add(sums, left, right);
        }
    }
    [[unroll]] for (uint i = 0; i < TILE_M; i++) {
        [[unroll]] for (uint j = 0; j < TILE_N; j++) {
            coopMatStore(sums[i * TILE_N + j], c,
                         (row + i * CM_M) * n + column + j * CM_N, n,
                         gl_CooperativeMatrixLayoutRowMajor);
        }
    }
}
