// SPDX-License-Identifier: MIT
//
// What the kernels of lora_linear say to lora/layer.glsl and lora/forward.glsl
#ifdef LORA_PACK
#define LORA_PUSH float s, p;
#else
#define LORA_PUSH float s, p; uint parts;
#endif
#define LORA_SCALE
#define LORA_BIAS 4
#define LORA_DROP 5
#define LORA_QUANT 6
#define LORA_Y 8
#define LORA_Z 9
#define LORA_P 10
#define LORA_PART 11
#define LORA_SUM 12
#define LORA_PX 10
#define LORA_PW 11
#define LORA_PA 12
