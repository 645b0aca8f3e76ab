/* What the engine's loop asks the system for, and the wait of others for it to have the GIL.
   Elsewhere than on Linux there is no selector here, and Python's own event loop is used. */
#ifndef OTTLA_NATIVE_IO_H
#define OTTLA_NATIVE_IO_H

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#define OTTLA_HAS_SELECTOR 1
#else
#define OTTLA_HAS_SELECTOR 0
#endif

enum { OTTLA_READ = 1, OTTLA_WRITE = 2, OTTLA_MOST_EVENTS = 64, OTTLA_MOST_BUFFERS = 64 };

typedef struct {
  int fd;
  int events;
} ottla_event;

typedef struct {
  const char *data;
  size_t size;
} ottla_buffer;

/* How long somebody who has given the GIL away waits for the engine to take it. Usually that takes
   some microseconds; when the machine is too busy to run the engine's thread, there is no point. */
static const int64_t OTTLA_PATIENCE_NS = 1000000;
static const int64_t OTTLA_SPIN_NS = 50000;

static int64_t ottla_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void ottla_add(int *number, int difference) {
  __atomic_add_fetch(number, difference, __ATOMIC_SEQ_CST);
}

/* Wait, without the GIL, until nobody wants it any more. */
static void ottla_await_zero(int *number) {
  int64_t began_ns = ottla_clock_ns();
  while (__atomic_load_n(number, __ATOMIC_SEQ_CST) > 0) {
    int64_t waited_ns = ottla_clock_ns() - began_ns;
    if (waited_ns > OTTLA_PATIENCE_NS) return;
    if (waited_ns < OTTLA_SPIN_NS) {
      sched_yield();
    } else {
      struct timespec pause = {0, 20000};
      nanosleep(&pause, NULL);
    }
  }
}

#if OTTLA_HAS_SELECTOR

static int ottla_selector_open(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int ottla_wake_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static void ottla_wake(int fd) {
  uint64_t one = 1;
  ssize_t written = write(fd, &one, sizeof one);
  (void)written; /* Full means that a wake-up is under way. */
}

static void ottla_wake_clear(int fd) {
  uint64_t count;
  ssize_t got = read(fd, &count, sizeof count);
  (void)got;
}

static int ottla_control(int selector, int operation, int fd, int events) {
  struct epoll_event event = {0};
  event.data.fd = fd;
  if (events & OTTLA_READ) event.events |= EPOLLIN;
  if (events & OTTLA_WRITE) event.events |= EPOLLOUT;
  int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  return epoll_ctl(selector, operations[operation], fd, &event);
}

/* The number of events; 0 also when a signal came first. */
static int ottla_select(int selector, ottla_event *out, int timeout_ms) {
  struct epoll_event events[OTTLA_MOST_EVENTS];
  int count = epoll_wait(selector, events, OTTLA_MOST_EVENTS, timeout_ms);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    out[i].fd = events[i].data.fd;
    /* Errors and hang-ups are for both to find out. */
    out[i].events = (events[i].events & ~EPOLLOUT ? OTTLA_READ : 0) |
                    (events[i].events & ~EPOLLIN ? OTTLA_WRITE : 0);
  }
  return count;
}

static int64_t ottla_receive(int fd, char *into, size_t size) {
  ssize_t count = recv(fd, into, size, MSG_DONTWAIT);
  return count < 0 ? -errno : count;
}

static int64_t ottla_send(int fd, const ottla_buffer *buffers, int count) {
  struct iovec parts[OTTLA_MOST_BUFFERS];
  struct msghdr message = {0};
  for (int i = 0; i < count; i++) {
    parts[i].iov_base = (void *)buffers[i].data;
    parts[i].iov_len = buffers[i].size;
  }
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

#else

static int ottla_selector_open(void) { errno = ENOSYS; return -1; }
static int ottla_wake_open(void) { errno = ENOSYS; return -1; }
static void ottla_wake(int fd) { (void)fd; }
static void ottla_wake_clear(int fd) { (void)fd; }
static int ottla_control(int selector, int operation, int fd, int events) { return -1; }
static int ottla_select(int selector, ottla_event *out, int timeout_ms) { return -ENOSYS; }
static int64_t ottla_receive(int fd, char *into, size_t size) { return -ENOSYS; }
static int64_t ottla_send(int fd, const ottla_buffer *b, int count) { return -ENOSYS; }

#endif
#endif
