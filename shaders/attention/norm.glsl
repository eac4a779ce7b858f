// SPDX-License-Identifier: MIT
//
// Pass norm of the softplus kernels: 1 / |k_j| of every key, a lane a key

void main()
{
    const uint key = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (key >= uint(IO_KV_LEN)) {
        return;
    }
    io_begin(gl_WorkGroupID.y * (pc.heads / pc.kv_heads), gl_WorkGroupID.z);
    float norm2 = 0.0;
    for (uint c = 0; c < (HEAD_DIM + 3u) / 4u; c++) {
        const vec4 x = io_k(key, c);
        norm2 += dot(x, x);
    }
    knorm[io_k_row + key] = io_inverse_norm(norm2);
}
