/* The two clocks of produce(): read without a Python object in between. */
#ifndef OTTLA_CLOCK_H
#define OTTLA_CLOCK_H

#include <stdint.h>
#include <time.h>

static int64_t ottla_wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t ottla_monotonic_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
