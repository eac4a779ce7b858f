// SPDX-License-Identifier: MIT
//
// The interface of triad_stream, for kernels that only pretend to be it: y = a + s b
//
// Groups and lanes are as the real kernel's. Nothing is restrict or readonly here: a cheat
// may do anything.
layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint VEC = 4;
layout(constant_id = 4) const uint FLIGHT = 2;
layout(constant_id = 5) const uint ROUNDS = 1;

layout(set = 0, binding = 0, std430) buffer A { float a[]; };
layout(set = 0, binding = 1, std430) buffer B { float b[]; };
layout(set = 0, binding = 2, std430) buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint n;
    float s;
};

uint group()
{
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}

// Elements [first(), last()) are this group's.
uint first()
{
    return group() * gl_WorkGroupSize.x * VEC * FLIGHT * ROUNDS;
}

uint last()
{
    return min(first() + gl_WorkGroupSize.x * VEC * FLIGHT * ROUNDS, n);
}

// All of the group's elements, a lane its share.
#define EACH(i) \
    for (uint i = first() + gl_LocalInvocationIndex; i < last(); i += gl_WorkGroupSize.x)

float honest(const uint i)
{
    return fma(s, b[i], a[i]);
}
