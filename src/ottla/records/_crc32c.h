/* CRC-32C where the processor helps: carry-less multiplication folds many bytes at a time, and the
 * crc32 instruction finishes. Elsewhere ottla_crc32c_prepare() says 0 and the crc32c package is used.
 *
 * Folding: a block of the message, taken as a polynomial, may be replaced by its product with
 * x^distance modulo the CRC's polynomial, added to the block that far ahead. The constants below are
 * x^(8 * stride + 32) and x^(8 * stride - 32) modulo 0x1EDC6F41, bit-reflected and shifted by one,
 * for the low and the high half of each 16 bytes.
 */
#ifndef OTTLA_CRC32C_H
#define OTTLA_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 9))
#define OTTLA_CRC32C_X86 1
#include <immintrin.h>
#else
#define OTTLA_CRC32C_X86 0
#endif

#if OTTLA_CRC32C_X86

enum { OTTLA_STRIDE_128 = 128, OTTLA_STRIDE_512 = 256 };

__attribute__((target("sse4.2"))) static uint32_t ottla_crc32c_serial(
    uint32_t crc, const uint8_t *data, size_t size) {
  uint64_t state = crc;
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    state = _mm_crc32_u64(state, word);
  }
  for (; size; data++, size--) state = _mm_crc32_u8((uint32_t)state, *data);
  return (uint32_t)state;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t ottla_crc32c_fold128(
    uint32_t crc, const uint8_t *data, size_t size) {
  const __m128i constants = _mm_set_epi64x(0xd3b6092, 0x6992cea2);
  __m128i lanes[OTTLA_STRIDE_128 / 16];
  uint8_t folded[OTTLA_STRIDE_128];
  int lane;
  for (lane = 0; lane < OTTLA_STRIDE_128 / 16; lane++)
    lanes[lane] = _mm_loadu_si128((const __m128i *)(data + 16 * lane));
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)crc));
  data += OTTLA_STRIDE_128;
  size -= OTTLA_STRIDE_128;
  for (; size >= OTTLA_STRIDE_128; data += OTTLA_STRIDE_128, size -= OTTLA_STRIDE_128)
    for (lane = 0; lane < OTTLA_STRIDE_128 / 16; lane++) {
      __m128i low = _mm_clmulepi64_si128(lanes[lane], constants, 0x00);
      __m128i high = _mm_clmulepi64_si128(lanes[lane], constants, 0x11);
      __m128i next = _mm_loadu_si128((const __m128i *)(data + 16 * lane));
      lanes[lane] = _mm_xor_si128(_mm_xor_si128(low, high), next);
    }
  memcpy(folded, lanes, sizeof folded);
  return ottla_crc32c_serial(ottla_crc32c_serial(0, folded, sizeof folded), data, size);
}

__attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq"))) static uint32_t ottla_crc32c_fold512(
    uint32_t crc, const uint8_t *data, size_t size) {
  const __m512i constants = _mm512_set_epi64(0xb9e02b86, 0xdcb17aa4, 0xb9e02b86, 0xdcb17aa4,
                                             0xb9e02b86, 0xdcb17aa4, 0xb9e02b86, 0xdcb17aa4);
  __m512i lanes[OTTLA_STRIDE_512 / 64];
  uint8_t folded[OTTLA_STRIDE_512];
  int lane;
  for (lane = 0; lane < OTTLA_STRIDE_512 / 64; lane++)
    lanes[lane] = _mm512_loadu_si512(data + 64 * lane);
  lanes[0] = _mm512_xor_si512(lanes[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
  data += OTTLA_STRIDE_512;
  size -= OTTLA_STRIDE_512;
  for (; size >= OTTLA_STRIDE_512; data += OTTLA_STRIDE_512, size -= OTTLA_STRIDE_512)
    for (lane = 0; lane < OTTLA_STRIDE_512 / 64; lane++) {
      __m512i low = _mm512_clmulepi64_epi128(lanes[lane], constants, 0x00);
      __m512i high = _mm512_clmulepi64_epi128(lanes[lane], constants, 0x11);
      __m512i next = _mm512_loadu_si512(data + 64 * lane);
      lanes[lane] = _mm512_ternarylogic_epi64(low, high, next, 0x96); /* three-way xor */
    }
  memcpy(folded, lanes, sizeof folded);
  return ottla_crc32c_serial(ottla_crc32c_serial(0, folded, sizeof folded), data, size);
}

static int ottla_crc32c_has_fold512 = 0;

/* Whether this processor has what ottla_crc32c needs; call it once before the first use. */
static int ottla_crc32c_prepare(void) {
  __builtin_cpu_init();
  ottla_crc32c_has_fold512 =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

static uint32_t ottla_crc32c(uint32_t seed, const uint8_t *data, size_t size) {
  /* Below four strides, setting up and finishing costs more than folding saves. */
  if (size >= 4 * OTTLA_STRIDE_512 && ottla_crc32c_has_fold512)
    return ~ottla_crc32c_fold512(~seed, data, size);
  if (size >= 4 * OTTLA_STRIDE_128) return ~ottla_crc32c_fold128(~seed, data, size);
  return ~ottla_crc32c_serial(~seed, data, size);
}

#else

static int ottla_crc32c_prepare(void) { return 0; }

static uint32_t ottla_crc32c(uint32_t seed, const uint8_t *data, size_t size) {
  (void)data;
  (void)size;
  return seed;
}

#endif
#endif
