// SPDX-License-Identifier: MIT
//
// A workgroup's tile of a matrix product on cooperative matrices of any shape
//
//            WARPS_N subgroups    A subgroup owns SUB_M x SUB_N matrices of CM_M x CM_N
//           +-------+-------+     sums. Both operands are staged in shared memory in the
//   WARPS_M | sub 0 | sub 1 |     direction they have in memory, so that nothing is
//           +-------+-------+     transposed: a matrix load reads row-major or
//           | sub 2 | sub 3 |     column-major instead.
//           +-------+-------+
//
//   tile_a along k: [TILE_M][STRIDE_A]  else [TILE_K][STRIDE_A]  groups of four elements
//   tile_b along k: [TILE_N][STRIDE_B]  else [TILE_K][STRIDE_B]
//   tile_c:         [subgroup][CM_M][CM_N]
//
// The includer defines, before it includes this:
//   CM_M, CM_N, CM_K            constants: the device's shape, multiples of 4
//   CM_TYPE_A, _B, _C           element types; sums are CM_TYPE_C, and CM_SUM4 four of
//                               them as store_c4 takes them
//   WARPS_M, WARPS_N            constants: subgroups of the workgroup
//   SUB_M, SUB_N                constants: matrices of sums a subgroup
//   STEPS_K                     constant: matrices along k in a tile
//   TILE_M, TILE_N, TILE_K      constants: WARPS_M * SUB_M * CM_M, ..., STEPS_K * CM_K
//   A_ALONG_K, B_ALONG_K        constant bools: neighbours in memory are neighbours in k
//   STRIDE_A, STRIDE_B          constants: groups of a row above, padding included
//   CM_GROUP                    what holds four elements: uvec2 for 16 bit, uint for 8
//   tile_a, tile_b, tile_c      shared arrays of CM_GROUP, CM_GROUP and CM_TYPE_C
//   load_group_a(i, g)          along k A[i, 4g .. 4g+3], else A[4g .. 4g+3, i]
//   load_group_b(i, g)          along k B[4g .. 4g+3, i], else B[i, 4g .. 4g+3]
//                               zeros beyond the end of k, any number beyond other edges
//   store_c4(row, col, sum)     four sums
// The workgroup is one-dimensional with WARPS_M * WARPS_N subgroups; when they turn out
// to be of another size than the host believed, the work is done in several rounds.
#ifndef VKZ_COOPMAT_GLSL
#define VKZ_COOPMAT_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

const uint CM_WARPS = WARPS_M * WARPS_N;
const uint CM_LANES = gl_WorkGroupSize.x;
const uint CM_ROW_A = A_ALONG_K ? TILE_K / 4 : TILE_M / 4; // groups of a row, no padding
const uint CM_ROW_B = B_ALONG_K ? TILE_K / 4 : TILE_N / 4;
const uint CM_GROUPS_A = TILE_M * TILE_K / 4;
const uint CM_GROUPS_B = TILE_N * TILE_K / 4;
const uint CM_MOVES = (CM_GROUPS_A + CM_GROUPS_B + CM_LANES - 1) / CM_LANES;

#define CmA coopmat<CM_TYPE_A, gl_ScopeSubgroup, CM_M, CM_K, gl_MatrixUseA>
#define CmB coopmat<CM_TYPE_B, gl_ScopeSubgroup, CM_K, CM_N, gl_MatrixUseB>
#define CmC coopmat<CM_TYPE_C, gl_ScopeSubgroup, CM_M, CM_N, gl_MatrixUseAccumulator>

// Group t of the tile at `row`, `col` and k = 4q.
CM_GROUP vkz_coopmat_fetch_(const uint t, const uint row, const uint col, const uint q)
{
    if (t < CM_GROUPS_A) {
        const uint i = t / CM_ROW_A, g = t % CM_ROW_A;
        return A_ALONG_K ? load_group_a(row + i, q + g)
                         : load_group_a(4 * q + i, row / 4 + g);
    }
    if (t < CM_GROUPS_A + CM_GROUPS_B) {
        const uint i = (t - CM_GROUPS_A) / CM_ROW_B, g = (t - CM_GROUPS_A) % CM_ROW_B;
        return B_ALONG_K ? load_group_b(col + i, q + g)
                         : load_group_b(4 * q + i, col / 4 + g);
    }
    return CM_GROUP(0);
}

void vkz_coopmat_put_(const uint t, const CM_GROUP group)
{
    if (t < CM_GROUPS_A) {
        tile_a[t / CM_ROW_A * STRIDE_A + t % CM_ROW_A] = group;
    } else if (t < CM_GROUPS_A + CM_GROUPS_B) {
        const uint u = t - CM_GROUPS_A;
        tile_b[u / CM_ROW_B * STRIDE_B + u % CM_ROW_B] = group;
    }
}

CmA vkz_coopmat_load_a_(const uint row, const uint kk)
{
    CmA a;
    if (A_ALONG_K) {
        coopMatLoad(a, tile_a, row * STRIDE_A + kk / 4, STRIDE_A,
                    gl_CooperativeMatrixLayoutRowMajor);
    } else {
        coopMatLoad(a, tile_a, kk * STRIDE_A + row / 4, STRIDE_A,
                    gl_CooperativeMatrixLayoutColumnMajor);
    }
    return a;
}

CmB vkz_coopmat_load_b_(const uint kk, const uint col)
{
    CmB b;
    if (B_ALONG_K) {
        coopMatLoad(b, tile_b, col * STRIDE_B + kk / 4, STRIDE_B,
                    gl_CooperativeMatrixLayoutColumnMajor);
    } else {
        coopMatLoad(b, tile_b, kk * STRIDE_B + col / 4, STRIDE_B,
                    gl_CooperativeMatrixLayoutRowMajor);
    }
    return b;
}

// Sums over the groups of four k in [q_begin, q_end), where q_end is the end of k or
// whole TILE_K from q_begin. Every invocation of the workgroup calls this.
void vkz_coopmat_tile(const uint row, const uint col, const uint q_begin,
                      const uint q_end)
{
    const uint lane = gl_LocalInvocationID.x;
    for (uint first = 0; first < CM_WARPS; first += gl_NumSubgroups) {
        const uint warp = first + gl_SubgroupID;
        const bool active_ = warp < CM_WARPS;
        const uint sub_row = warp / WARPS_N * SUB_M * CM_M;
        const uint sub_col = warp % WARPS_N * SUB_N * CM_N;
        CmC acc[SUB_M * SUB_N];
        [[unroll]] for (uint i = 0; i < SUB_M * SUB_N; ++i) {
            acc[i] = CmC(CM_TYPE_C(0));
        }
        CM_GROUP next[CM_MOVES];
        [[unroll]] for (uint i = 0; i < CM_MOVES; ++i) {
            next[i] = vkz_coopmat_fetch_(lane + i * CM_LANES, row, col, q_begin);
        }
        for (uint q = q_begin; q < q_end; q += TILE_K / 4) {
            barrier();
            [[unroll]] for (uint i = 0; i < CM_MOVES; ++i) {
                vkz_coopmat_put_(lane + i * CM_LANES, next[i]);
            }
            barrier();
            if (q + TILE_K / 4 < q_end) {
                [[unroll]] for (uint i = 0; i < CM_MOVES; ++i) {
                    next[i] = vkz_coopmat_fetch_(lane + i * CM_LANES, row, col,
                                                 q + TILE_K / 4);
                }
            }
            if (active_) {
                [[unroll]] for (uint s = 0; s < STEPS_K; ++s) {
                    CmA a[SUB_M];
                    [[unroll]] for (uint i = 0; i < SUB_M; ++i) {
                        a[i] = vkz_coopmat_load_a_(sub_row + i * CM_M, s * CM_K);
                    }
                    [[unroll]] for (uint j = 0; j < SUB_N; ++j) {
                        const CmB b = vkz_coopmat_load_b_(s * CM_K, sub_col + j * CM_N);
                        [[unroll]] for (uint i = 0; i < SUB_M; ++i) {
                            const uint at = i * SUB_N + j;
                            acc[at] = coopMatMulAdd(a[i], b, acc[at]);
                        }
                    }
                }
            }
        }
        // Which lane has which sum is the driver's secret: through shared memory, where
        // every subgroup has its own corner.
        const uint corner = warp * CM_M * CM_N;
        [[unroll]] for (uint i = 0; i < SUB_M * SUB_N; ++i) {
            barrier();
            if (active_) {
                coopMatStore(acc[i], tile_c, corner, CM_N,
                             gl_CooperativeMatrixLayoutRowMajor);
            }
            barrier();
            for (uint t = gl_SubgroupInvocationID; active_ && t < CM_M * CM_N / 4;
                 t += gl_SubgroupSize) {
                const uint at = corner + 4 * t;
                store_c4(row + sub_row + i / SUB_N * CM_M + t / (CM_N / 4),
                         col + sub_col + i % SUB_N * CM_N + t % (CM_N / 4) * 4,
                         CM_SUM4(tile_c[at], tile_c[at + 1], tile_c[at + 2],
                                 tile_c[at + 3]));
            }
        }
    }
}

#endif
