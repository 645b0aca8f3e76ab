/* The wait of a producer that is far ahead for a batch that comes back. Elsewhere than on Linux
   nobody waits. */
#ifndef OTTLA_PAUSE_H
#define OTTLA_PAUSE_H

#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#endif

/* A batch has come back: count it, and wake who waits for that. */
static void ottla_come_back(int *count, int *waiting) {
  __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
#ifdef __linux__
  if (__atomic_load_n(waiting, __ATOMIC_SEQ_CST) > 0)
    syscall(SYS_futex, count, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
  (void)waiting;
#endif
}

/* Wait, without the GIL, for one more than those seen, no longer than patience lasts. */
static void ottla_await_return(int *count, int *waiting, int seen, long patience_ns) {
#ifdef __linux__
  struct timespec patience = {0, patience_ns};
  __atomic_add_fetch(waiting, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, count, FUTEX_WAIT_PRIVATE, seen, &patience, NULL, 0);
  __atomic_sub_fetch(waiting, 1, __ATOMIC_SEQ_CST);
#else
  (void)count;
  (void)waiting;
  (void)seen;
  (void)patience_ns;
#endif
}

#endif
