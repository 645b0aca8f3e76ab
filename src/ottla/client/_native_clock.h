/* The two clocks of produce(): read without a Python object in between, and not for every record. */
#ifndef OTTLA_CLOCK_H
#define OTTLA_CLOCK_H

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
/* Asking the system costs more than encoding a small record does. The processor's counter runs at
   1 GHz at least, so the times below are at most 100 us and 10 us old. Guarded by the GIL. */
static inline int ottla_is_fresh(uint64_t *read_at, uint64_t limit) {
  uint64_t now = __builtin_ia32_rdtsc();
  if (now - *read_at < limit) return 1;
  *read_at = now;
  return 0;
}
#else
static inline int ottla_is_fresh(uint64_t *read_at, uint64_t limit) {
  (void)read_at;
  (void)limit;
  return 0;
}
#endif

static int64_t ottla_wall_ms(void) {
  static uint64_t read_at;
  static int64_t wall_ms;
  if (!ottla_is_fresh(&read_at, 100000)) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  }
  return wall_ms;
}

static int64_t ottla_monotonic_us(void) {
  static uint64_t read_at;
  static int64_t monotonic_us;
  if (!ottla_is_fresh(&read_at, 10000)) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    monotonic_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
  }
  return monotonic_us;
}

#endif
