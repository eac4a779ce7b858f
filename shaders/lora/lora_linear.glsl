// SPDX-License-Identifier: MIT
//
// What the kernels of lora_linear say to lora/layer.glsl and lora/forward.glsl
#define LORA_PUSH float s, p; uint parts;
#define LORA_SCALE
#define LORA_BIAS 4
#define LORA_DROP 5
#define LORA_QUANT 6
#define LORA_Y 8
#define LORA_Z 9
#define LORA_P 10
#define LORA_PART 11
#define LORA_SUM 12
