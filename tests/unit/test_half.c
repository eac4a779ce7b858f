// SPDX-License-Identifier: MIT
// Storage types: conversions against exhaustive search, rounding, table look-ups.
#include "fixture.h"

#include <math.h>

#include "zoo/data.h"

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Value of a half by its definition.
static double half_value(uint16_t h)
{
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const double sign = h >> 15 ? -1 : 1;
    if (exponent == 31)
        return mantissa ? NAN : sign * INFINITY;
    return sign *
           (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static void half_widens(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const double expected = half_value((uint16_t)h);
        const double found = vkz_f32_from_f16((uint16_t)h);
        if (isnan(expected))
            assert_true(isnan(found));
        else
            assert_true(found == expected && signbit(found) == signbit(expected));
        // There and back, NaN as a quiet NaN of the same sign.
        const uint16_t back = vkz_f16_from_f32((float)found);
        assert_int_equal(back, isnan(expected) ? (h | 0x200) : h);
    }
}

static void bfloat_widens(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 65536; b++) {
        const float x = vkz_f32_from_bf16((uint16_t)b);
        const uint16_t back = vkz_bf16_from_f32(x);
        assert_int_equal(back, isnan(x) ? (b | 0x40) : b);
    }
}

// Between each two neighbours: below, at and above the middle; the middle goes to even.
static void half_rounds(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        const double low = half_value((uint16_t)h), high = half_value((uint16_t)(h + 1));
        const float middle = (float)((low + high) / 2);
        const uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        assert_int_equal(vkz_f16_from_f32(middle), even);
        assert_int_equal(vkz_f16_from_f32(nextafterf(middle, 0)), h);
        assert_int_equal(vkz_f16_from_f32(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(vkz_f16_from_f32(-middle), even | 0x8000);
    }
    assert_int_equal(vkz_f16_from_f32(65519.f), 0x7bff);
    assert_int_equal(vkz_f16_from_f32(65520.f), 0x7c00);
    assert_int_equal(vkz_f16_from_f32(1e30f), 0x7c00);
    assert_int_equal(vkz_f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(vkz_f16_from_f32(1e-30f), 0);
    assert_int_equal(vkz_f16_from_f32(-0.f), 0x8000);
}

static void bfloat_rounds(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x7f7f; b++) {
        const float middle = from_bits(b << 16 | 0x8000);
        assert_int_equal(vkz_bf16_from_f32(middle), b & 1 ? b + 1 : b);
        assert_int_equal(vkz_bf16_from_f32(from_bits(b << 16 | 0x7fff)), b);
        assert_int_equal(vkz_bf16_from_f32(from_bits(b << 16 | 0x8001)), b + 1);
    }
    assert_int_equal(vkz_bf16_from_f32(from_bits(0x7f7fffff)), 0x7f80);
    assert_int_equal(vkz_bf16_from_f32(from_bits(0x7f800001)),
                     0x7fc0); // NaN, not infinity
}

static void storage(void **state)
{
    (void)state;
    const int8_t i8[] = {-128, 127};
    const uint8_t u8[] = {0, 255};
    const uint32_t u32[] = {1, 0xffffffffu};
    const uint16_t f16[] = {0x3c00, 0xc000}, bf16[] = {0x3f80, 0xc000};
    assert_true(vkz_storage_get(VKZ_I8, i8, 0) == -128);
    assert_true(vkz_storage_get(VKZ_U8, u8, 1) == 255);
    assert_true(vkz_storage_get(VKZ_U32, u32, 1) == 4294967295.0);
    assert_true(vkz_storage_get(VKZ_I32, u32, 1) == -1);
    assert_true(vkz_storage_get(VKZ_F16, f16, 1) == -2);
    assert_true(vkz_storage_get(VKZ_BF16, bf16, 1) == -2);
    assert_true(isnan(vkz_storage_get(VKZ_TYPE_NONE, u32, 0)));
    assert_true(vkz_storage_round(VKZ_F16, 1.0 / 3) == 0.333251953125);
    assert_true(vkz_storage_round(VKZ_BF16, 1.0 / 3) == 0.333984375);
    assert_true(vkz_storage_round(VKZ_I8, 200) == 127);
    assert_true(vkz_storage_round(VKZ_U8, -3) == 0);
    assert_true(vkz_storage_round(VKZ_I32, 2.5) == 2);
    assert_true(vkz_storage_round(VKZ_U32, 1e300) == 4294967295.0);
    assert_true(vkz_storage_round(VKZ_I32, NAN) == 0);
    assert_true(vkz_storage_round(VKZ_F32, 1e300) == INFINITY);
}

static void types(void **state)
{
    (void)state;
    for (enum vkz_type t = VKZ_F32; t <= VKZ_U8; t++)
        assert_int_equal(vkz_type_parse(vkz_type_name(t)), t);
    assert_int_equal(vkz_type_parse("f3"), VKZ_TYPE_NONE);
    assert_int_equal(vkz_type_parse("none"), VKZ_TYPE_NONE);
    assert_int_equal(vkz_type_size(VKZ_BF16), 2);
    assert_int_equal(vkz_type_size(VKZ_TYPE_NONE), 0);
    const struct vkz_variant v = {.name = "v", .types = "T=f16 W=i8"};
    assert_int_equal(vkz_variant_type(&v, "T"), VKZ_F16);
    assert_int_equal(vkz_variant_type(&v, "W"), VKZ_I8);
    assert_int_equal(vkz_variant_type(&v, "u32"), VKZ_U32);
    assert_int_equal(vkz_variant_type(&v, "X"), VKZ_TYPE_NONE);
    assert_ptr_equal(vkz_kernel_find("dot_split"), &fixture_kernel);
    assert_null(vkz_kernel_find("dot"));
    assert_non_null(vkz_variant_find(&fixture_kernel, "f16"));
    assert_null(vkz_variant_find(&fixture_kernel, "bf16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_widens),   cmocka_unit_test(half_rounds),
        cmocka_unit_test(bfloat_widens), cmocka_unit_test(bfloat_rounds),
        cmocka_unit_test(storage),       cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
